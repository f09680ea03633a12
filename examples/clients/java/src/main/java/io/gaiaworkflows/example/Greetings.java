package io.gaiaworkflows.example;

import com.google.protobuf.ListValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.gaiaworkflows.v1.Command;
import io.gaiaworkflows.v1.MergeRequest;
import io.gaiaworkflows.v1.Step;
import io.gaiaworkflows.v1.UploadRequest;
import java.util.List;
import java.util.UUID;

/** What this client asks of Gaia. */
final class Greetings {
    /** Returns a workflow of three Steps that greet, made by one array var, and one that gathers what they wrote. */
    static UploadRequest workflow(String name) {
        var greet = Command.newBuilder()
                .setName("greet").setImage("busybox:1.36")
                .addAllCommand(List.of("echo", "Hello, {{NAME}}!"))
                .putOutputs("greeting", ">");
        var gather = Command.newBuilder()
                .setName("gather").setImage("busybox:1.36")
                .addAllCommand(List.of("sh", "-c", "cat {{greetings}}*"))
                .putInputs("greetings", "/in/greetings/").putOutputs("all", ">");
        var names = ListValue.newBuilder()
                .addValues(text("Ada")).addValues(text("Grace")).addValues(text("Katherine"));
        var greetEach = Step.newBuilder()
                .setName("greet").setCommand("greet")
                .putVars("NAME", Value.newBuilder().setListValue(names).build())
                .putOutputs("greeting", "greetings/{{NAME}}.txt");
        var gatherAll = Step.newBuilder()
                .setName("gather").setCommand("gather")
                .putInputs("greetings", "greetings/").putOutputs("all", "greetings.txt");
        return UploadRequest.newBuilder()
                .setRequestId(UUID.randomUUID().toString())
                .setWorkflow(name)
                .setProperties(Struct.newBuilder().putFields("owner", text("demo")))
                .addCommands(greet).addCommands(gather)
                .addSteps(greetEach).addSteps(gatherAll)
                .build();
    }

    /** Returns a request that Gaia refuses, for two reasons. */
    static MergeRequest mistaken(String workflow) {
        var unknown = Step.newBuilder().setName("greet-Emmy").setCommand("gret");
        var nameless = Step.newBuilder()
                .setName("greet-nobody").setCommand("greet").putOutputs("greeting", "greetings/nobody.txt");
        return MergeRequest.newBuilder()
                .setRequestId(UUID.randomUUID().toString())
                .setWorkflow(workflow)
                .addSteps(unknown).addSteps(nameless)
                .build();
    }

    private static Value text(String text) {
        return Value.newBuilder().setStringValue(text).build();
    }

    private Greetings() {}
}
