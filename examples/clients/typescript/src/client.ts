/**
 * Runs a small workflow on a Gaia server: uploads it, watches it, and prints its result.
 *
 * Usage: node dist/client.js [WORKFLOW]; GAIA_HOST and GAIA_TOKEN name the server and open it.
 */
import { setTimeout } from "node:timers/promises";

import { equals } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, decodeBinaryHeader, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { Gaia, RefusalSchema, UploadResponseSchema, type WatchResponse } from "./gen/gaia/v1/api_pb.js";
import { greetings, mistaken } from "./workflow.js";

const ATTEMPTS_MAX = 5;

/** Sends a call with the token, if there is one. */
const authorize: Interceptor = (next) => (call) => {
  if (process.env.GAIA_TOKEN) call.header.set("authorization", `Bearer ${process.env.GAIA_TOKEN}`);
  return next(call);
};

/**
 * Sends a call again while the server is unavailable.
 *
 * Mutations carry a request id, so Gaia does each of them once.
 */
const retry: Interceptor = (next) => async (call) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(call);
    } catch (error) {
      if (call.stream || attempt === ATTEMPTS_MAX || ConnectError.from(error).code !== Code.Unavailable) throw error;
      await setTimeout(100 * 2 ** attempt);
    }
  }
};

async function run(workflow: string): Promise<void> {
  const baseUrl = `http://${process.env.GAIA_HOST || "localhost:24442"}`;
  const gaia = createClient(Gaia, createGrpcTransport({ baseUrl, interceptors: [authorize, retry] }));

  const request = greetings(workflow);
  const uploaded = await gaia.upload(request);
  console.log("added", uploaded.diff?.added.join(" "));

  // Had the answer been lost on its way, we would not know. The same request again, with its id, is harmless.
  const again = await gaia.upload(request);
  console.log("sent again, same answer:", equals(UploadResponseSchema, uploaded, again));

  await watch(gaia, workflow);
  await printFile(gaia, workflow, "greetings.txt");

  const refused: unknown = await gaia.merge(mistaken(workflow)).catch((error) => error);
  console.log(explain(refused));
}

/** Prints what happens, from the workflow's first event on, until it comes to rest; it must be complete then. */
async function watch(gaia: Client<typeof Gaia>, workflow: string): Promise<void> {
  const seenEnough = new AbortController();
  const request = { workflow, fromSequence: 1n, everyEvent: true };
  try {
    await follow(gaia.watch(request, { signal: seenEnough.signal }));
  } finally {
    seenEnough.abort();
  }
}

async function follow(stream: AsyncIterable<WatchResponse>): Promise<void> {
  for await (const { told } of stream) {
    if (told.case !== "event") continue;
    const { event } = told.value;
    switch (event.case) {
      case "stepStarted":
        console.log("started", event.value.step, "on", event.value.worker);
        break;
      case "stepCompleted":
        console.log("completed", event.value.step);
        break;
      case "stepFailed":
        console.log("failed", event.value.step, event.value.failure?.message);
        break;
      case "workflowChanged":
        if (event.value.change === "complete") return console.log("the workflow is complete");
        if (event.value.change === "error" || event.value.change === "stalled") {
          throw new Error(`the workflow came to rest: ${event.value.change}`);
        }
    }
  }
}

async function printFile(gaia: Client<typeof Gaia>, workflow: string, key: string): Promise<void> {
  for await (const { part } of gaia.get({ workflow, key })) {
    if (part.case === "data") process.stdout.write(part.value);
  }
}

/** Returns what is wrong: of a call that Gaia refused, every problem, which its trailing metadata holds. */
function explain(error: unknown): string {
  const packed = error instanceof ConnectError && error.metadata.get("gaia-refusal-bin");
  if (!packed) return String(error);
  const refusal = decodeBinaryHeader(packed, RefusalSchema);
  const problems = refusal.problems.map(({ place, message }) => `\n  ${place}: ${message}`);
  return `refused (${refusal.error}): ${refusal.message}${problems.join("")}`;
}

const stamp = new Date().toISOString().replace(/-|:|\..*/g, "").replace("T", ".");
try {
  await run(process.argv[2] ?? `demo_greetings_${stamp}`);
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}
