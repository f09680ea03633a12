import { randomUUID } from "node:crypto";

import { create, fromJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";

import { MergeRequestSchema, UploadRequestSchema, type MergeRequest, type UploadRequest } from "./gen/gaia/v1/api_pb.js";

/** Returns a workflow of three Steps that greet, made by one array var, and one that gathers what they wrote. */
export function greetings(workflow: string): UploadRequest {
  return create(UploadRequestSchema, {
    requestId: randomUUID(),
    workflow,
    properties: { owner: "demo" },
    commands: [
      {
        name: "greet",
        image: "busybox:1.36",
        command: ["echo", "Hello, {{NAME}}!"],
        outputs: { greeting: ">" },
      },
      {
        name: "gather",
        image: "busybox:1.36",
        command: ["sh", "-c", "cat {{greetings}}*"],
        inputs: { greetings: "/in/greetings/" },
        outputs: { all: ">" },
      },
    ],
    steps: [
      {
        name: "greet",
        command: "greet",
        vars: { NAME: fromJson(ValueSchema, ["Ada", "Grace", "Katherine"]) },
        outputs: { greeting: "greetings/{{NAME}}.txt" },
      },
      { name: "gather", command: "gather", inputs: { greetings: "greetings/" }, outputs: { all: "greetings.txt" } },
    ],
  });
}

/** Returns a request that Gaia refuses, for two reasons. */
export function mistaken(workflow: string): MergeRequest {
  const unknown = { name: "greet-Emmy", command: "gret" };
  const nameless = { name: "greet-nobody", command: "greet", outputs: { greeting: "greetings/nobody.txt" } };
  return create(MergeRequestSchema, { requestId: randomUUID(), workflow, steps: [unknown, nameless] });
}
