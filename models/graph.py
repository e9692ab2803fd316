"""A TensorFlow Transform graph and a SavedModel's signature, loaded, and what each takes and gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..schemas.errors import UsageError
from .devices import on_device
from .flow import dependencies, prune
from .mirror import here
from .runtime import tf

Spec = Any
"""A tf.TypeSpec: TensorSpec, SparseTensorSpec or RaggedTensorSpec."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A loaded function by the names of its inputs and outputs.

    Attributes:
      function: the concrete function.
      inputs: name -> spec.
      outputs: name -> spec.
      owner: the loaded SavedModel, which must live as long as the function (it owns tables and variables).
      label: what messages call it.
    """

    function: Any
    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]
    owner: Any = field(repr=False)
    label: str = ""

    def needed(self, outputs: Collection[str]) -> set[str]:
        """Names of the inputs that some outputs depend on."""
        wanted = [tensor.name for name in outputs for tensor in self._results(name)]
        found = dependencies(self.function.graph.as_graph_def(), wanted)
        return {name for name in self.inputs if found & set(self.placeholders(name))}

    def placeholders(self, name: str) -> list[str]:
        """Names of the nodes that stand for an input: one, or one for each component of a composite tensor."""
        return [tensor.op.name for tensor in _parts(self.inputs, self.function.graph.inputs, name)]

    def _results(self, name: str) -> list[Any]:
        return _parts(self.outputs, self.function.graph.outputs, name)

    def inlined(self, inputs: Mapping[str, Any], outputs: Collection[str]) -> dict[str, Any]:
        """Copies the graph into the function being traced, without what the outputs do not need.

        Args:
          inputs: tensors for all inputs; what is given for one that no output depends on is used only where an inner
            function wants it.
          outputs: names of the outputs wanted.

        Returns:
          The outputs by name.
        """
        unneeded = set(self.inputs) - self.needed(outputs)
        blind = [node for name in unneeded for node in self.placeholders(name)]
        names = [tensor.name for name in outputs for tensor in self._results(name)]
        pruned = prune(self.function.graph.as_graph_def(), names, blind)
        present = {node.name for node in pruned.node}
        feeds = {f"{node}:0": tensor for node, tensor in self._feeds(inputs).items() if node in present}
        found = iter(tf.graph_util.import_graph_def(pruned, feeds, names, name="transform"))
        return {name: _packed(self.outputs[name], [next(found) for _ in self._results(name)]) for name in outputs}

    def _feeds(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Node name -> tensor, for inputs and for what the function captured (tables, variables, constants)."""
        feeds: dict[str, Any] = {}
        for name in self.inputs:
            feeds.update(zip(self.placeholders(name), flatten(inputs[name]), strict=True))
        outer = tf.compat.v1.get_default_graph()
        captured = self.function.captured_inputs
        inner = self.function.graph.inputs[len(self.function.graph.inputs) - len(captured) :]
        feeds.update((node.op.name, outer.capture(tensor)) for node, tensor in zip(inner, captured, strict=True))
        return feeds


def _parts(specs: Mapping[str, Spec], flat: Sequence[Any], name: str) -> list[Any]:
    """The flat tensors of one name: a function's inputs and outputs lie in the order of the sorted names."""
    first = sum(len(flatten(specs[before])) for before in specs if before < name)
    return list(flat[first : first + len(flatten(specs[name]))])


def flatten(tensor: Any) -> list[Any]:
    """The components of a tensor, or of a spec, in TensorFlow's order."""
    return list(tf.nest.flatten(tensor, expand_composites=True))


def _packed(spec: Spec, parts: list[Any]) -> Any:
    for part, known in zip(parts, flatten(spec), strict=True):
        part.set_shape(known.shape)
    return tf.nest.pack_sequence_as(spec, parts, expand_composites=True)


def load_transform(folder: str) -> Graph:
    """Loads the graph of a tft.TFTransformOutput folder.

    Raises:
      UsageError: when there is none, or one of TensorFlow 1.
    """
    path = Path(here(folder)) / "transform_fn"
    owner = _load(path, f"no transform graph in {folder}; run `highbeam analyze`")
    function = getattr(owner, "transform_fn", None)
    if function is None:
        raise UsageError(f"{path} was written for TensorFlow 1 (force_tf_compat_v1); analyze again without it")
    function = getattr(function, "concrete_functions", [function])[0]
    (inputs,), _ = function.structured_input_signature
    return Graph(function, dict(inputs), dict(function.structured_outputs), owner, "the transform graph")


def load_signature(folder: str, name: str, device: str = "") -> Graph:
    """Loads one signature of a SavedModel.

    Args:
      folder: of the SavedModel.
      name: of the signature.
      device: that is to hold this copy of its variables; see `devices.on_device`.

    Raises:
      UsageError: when there is no SavedModel, or no such signature; names those that are there.
    """
    owner = _load(Path(here(folder)), f"no SavedModel in {folder}: saved_model.pb is missing", device)
    if name not in owner.signatures:
        there = ", ".join(sorted(owner.signatures)) or "none"
        raise UsageError(f"{folder} has no signature {name!r}; it has: {there}. Set model.signature")
    function = owner.signatures[name]
    _, inputs = function.structured_input_signature
    outputs = {output: _spec(tensor) for output, tensor in function.structured_outputs.items()}
    return Graph(function, dict(inputs), outputs, owner, f"signature {name}")


def _spec(output: Any) -> Spec:
    """An output as a spec; a SavedModel of TensorFlow 1 gives the tensor itself."""
    return tf.TensorSpec.from_tensor(output) if isinstance(output, tf.Tensor) else output


def _load(path: Path, missing: str, device: str = "") -> Any:
    if not (path / "saved_model.pb").is_file():
        raise UsageError(missing)
    state = (path / "saved_model.pb").stat()
    return _loaded(str(path), (state.st_ino, state.st_size, state.st_mtime_ns), device)


@lru_cache(maxsize=2)
def _loaded(path: str, mark: tuple[int, ...], device: str) -> Any:
    """Loads a SavedModel, once for each device; those looked at before launch are not loaded again to score."""
    try:
        return on_device(device, lambda: tf.saved_model.load(path))
    except (tf.errors.OpError, OSError, ValueError, KeyError, AttributeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{path} cannot be loaded as a SavedModel: {first}") from error
