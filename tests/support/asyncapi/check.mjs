// Print what AsyncAPI's own parser finds in a document and what it understood of it; end with 1 where anything is wrong.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";
import { ProtoBuffSchemaParser } from "@asyncapi/protobuf-schema-parser";

const WARNING = 1; // errors are 0; what is above, such as a newer version of AsyncAPI, is no fault of the document

const path = process.argv[2];
const parser = new Parser();
parser.registerSchemaParser(ProtoBuffSchemaParser());
const { document, diagnostics } = await parser.parse(await readFile(path, "utf8"), { source: path });
const faults = diagnostics.filter(({ severity }) => severity <= WARNING);
for (const { code, message, path: place, range } of faults) {
  console.error(`${path}:${range.start.line + 1}: ${place.join(".")}: ${message} (${code})`);
}
if (document === undefined || faults.length > 0) process.exit(1);
const channels = document.channels().all();
const messages = channels.flatMap((channel) => channel.messages().all());
console.log(JSON.stringify({
  version: document.version(),
  addresses: channels.map((channel) => channel.address()),
  messages: messages.map((message) => message.name()),
  fields: messages.map((message) => Object.keys(message.payload().properties())),
}));
