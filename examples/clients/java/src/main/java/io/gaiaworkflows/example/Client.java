package io.gaiaworkflows.example;

import com.google.protobuf.InvalidProtocolBufferException;
import io.gaiaworkflows.v1.GaiaGrpc;
import io.gaiaworkflows.v1.GaiaGrpc.GaiaBlockingStub;
import io.gaiaworkflows.v1.GetRequest;
import io.gaiaworkflows.v1.Refusal;
import io.gaiaworkflows.v1.WatchRequest;
import io.gaiaworkflows.v1.WatchResponse;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.stub.MetadataUtils;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/**
 * Runs a small workflow on a Gaia server: uploads it, watches it, and prints its result.
 *
 * <p>Usage: java -jar target/gaia-client.jar [WORKFLOW]; GAIA_HOST and GAIA_TOKEN name the server and open it.
 */
public final class Client {
    /** Calls are sent again while the server is unavailable. Mutations have a request id, so Gaia does each of them once. */
    private static final Map<String, ?> RETRIES = Map.of("methodConfig", List.of(Map.of(
            "name", List.of(Map.of("service", GaiaGrpc.SERVICE_NAME)),
            "retryPolicy", Map.of(
                    "maxAttempts", 5.0, "initialBackoff", "0.2s", "maxBackoff", "5s", "backoffMultiplier", 2.0,
                    "retryableStatusCodes", List.of("UNAVAILABLE")))));

    private static final Metadata.Key<byte[]> REFUSAL =
            Metadata.Key.of("gaia-refusal-bin", Metadata.BINARY_BYTE_MARSHALLER);
    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    public static void main(String[] arguments) {
        var now = LocalDateTime.now().format(DateTimeFormatter.ofPattern("yyyyMMdd.HHmmss"));
        var workflow = arguments.length > 0 ? arguments[0] : "demo_greetings_" + now;
        var channel = connect();
        try {
            run(GaiaGrpc.newBlockingStub(channel), workflow);
        } catch (RuntimeException error) {
            System.err.println(explain(error));
            System.exit(1);
        } finally {
            channel.shutdownNow();
        }
    }

    private static ManagedChannel connect() {
        var headers = new Metadata();
        var token = System.getenv("GAIA_TOKEN");
        if (token != null) {
            headers.put(AUTHORIZATION, "Bearer " + token);
        }
        var address = System.getenv().getOrDefault("GAIA_HOST", "localhost:24442");
        return Grpc.newChannelBuilder(address, InsecureChannelCredentials.create())
                .intercept(MetadataUtils.newAttachHeadersInterceptor(headers))
                .defaultServiceConfig(RETRIES)
                .build();
    }

    private static void run(GaiaBlockingStub gaia, String workflow) {
        var request = Greetings.workflow(workflow);
        var uploaded = gaia.upload(request);
        System.out.println("added " + String.join(" ", uploaded.getDiff().getAddedList()));

        // Had the answer been lost on its way, we would not know. The same request again, with its id, is harmless.
        var again = gaia.upload(request);
        System.out.println("sent again, same answer: " + again.equals(uploaded));

        watch(gaia, workflow);
        printFile(gaia, workflow, "greetings.txt");

        try {
            gaia.merge(Greetings.mistaken(workflow));
        } catch (RuntimeException error) {
            System.out.println(explain(error));
        }
    }

    /** Prints what happens, from the workflow's first event on, until it comes to rest; it must be complete then. */
    private static void watch(GaiaBlockingStub gaia, String workflow) {
        var request = WatchRequest.newBuilder().setWorkflow(workflow).setFromSequence(1).setEveryEvent(true).build();
        try (var call = Context.current().withCancellation()) { // Its end ends the stream.
            call.run(() -> follow(gaia.watch(request)));
        }
    }

    private static void follow(Iterator<WatchResponse> stream) {
        while (stream.hasNext()) {
            var event = stream.next().getEvent();
            switch (event.getEventCase()) {
                case STEP_STARTED -> System.out.println(
                        "started " + event.getStepStarted().getStep() + " on " + event.getStepStarted().getWorker());
                case STEP_COMPLETED -> System.out.println("completed " + event.getStepCompleted().getStep());
                case STEP_FAILED -> System.out.println(
                        "failed " + event.getStepFailed().getStep() + " " + event.getStepFailed().getFailure().getMessage());
                case WORKFLOW_CHANGED -> {
                    var change = event.getWorkflowChanged().getChange();
                    switch (change) {
                        case "complete" -> {
                            System.out.println("the workflow is complete");
                            return;
                        }
                        case "error", "stalled" ->
                            throw new IllegalStateException("the workflow came to rest: " + change);
                        default -> {}
                    }
                }
                default -> {}
            }
        }
    }

    private static void printFile(GaiaBlockingStub gaia, String workflow, String key) {
        var parts = gaia.get(GetRequest.newBuilder().setWorkflow(workflow).setKey(key).build());
        parts.forEachRemaining(part -> System.out.writeBytes(part.getData().toByteArray()));
        System.out.flush();
    }

    /** Returns what is wrong: of a call that Gaia refused, every problem, which its trailing metadata holds. */
    private static String explain(RuntimeException error) {
        var trailers = Status.trailersFromThrowable(error);
        var packed = trailers == null ? null : trailers.get(REFUSAL);
        if (packed == null) {
            return error.getMessage();
        }
        try {
            var refusal = Refusal.parseFrom(packed);
            var text = new StringBuilder("refused (" + refusal.getError() + "): " + refusal.getMessage());
            refusal.getProblemsList().forEach(
                    problem -> text.append("\n  ").append(problem.getPlace()).append(": ").append(problem.getMessage()));
            return text.toString();
        } catch (InvalidProtocolBufferException broken) {
            return error.getMessage();
        }
    }

    private Client() {}
}
