// The Vercel AI SDK, of the major version that MAJOR names.

import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { z } from "zod";

const AGENT = "travel-agent";
const SESSION = "trip-7";
const QUESTION = "What is the weather in Ulm? Book a hotel there.";

const major = Number(process.env.MAJOR);
const { generateText, registerTelemetry, stepCountIs, tool } = await import(`ai-${major}`);
const { createOpenAI } = await import(`openai-${major}`);

const provider = new NodeTracerProvider({
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();

// Until version 6 telemetry is built in and told about by each call; since then a package brings it.
let telemetry = {
  experimental_telemetry: { isEnabled: true, functionId: AGENT, metadata: { sessionId: SESSION } },
};
if (major >= 7) {
  const { OpenTelemetry } = await import("@ai-sdk/otel");
  registerTelemetry(new OpenTelemetry({ runtimeContext: true }));
  telemetry = {
    telemetry: { functionId: AGENT, includeRuntimeContext: { sessionId: true } },
    runtimeContext: { sessionId: SESSION },
  };
}

const inputSchema = z.object({ city: z.string() });
const tools = {
  get_weather: tool({
    description: "The weather in a city.",
    inputSchema,
    execute: async () => "12 degrees",
  }),
  book_hotel: tool({
    description: "Book a hotel in a city.",
    inputSchema,
    execute: async () => {
      throw new Error("no rooms");
    },
  }),
};
const instructions = "You plan trips. Use the tools.";
await generateText({
  model: createOpenAI({ baseURL: process.env.OPENAI_BASE_URL }).chat("gpt-5-mini"),
  ...(major >= 7 ? { instructions } : { system: instructions }),
  prompt: QUESTION,
  tools,
  stopWhen: stepCountIs(5),
  ...telemetry,
});
await provider.shutdown();
