/** Beam's job server, which uploads no jars with a job: the cluster has them all on its class path. */
public class FlinkJobServer {
  public static void main(String[] arguments) throws Exception {
    System.setProperty("java.class.path", "");
    org.apache.beam.runners.flink.FlinkJobServerDriver.main(arguments);
  }
}
