// What is done to our own sentences before they are shown, so that the commands in them reach what this one did.
// It is none of the log of an engine, nor of a document for a program.
// Provided by agent-job.ts, and read where sentences are printed.
import { Context } from "effect"

export const NextCommands = Context.Reference<(text: string) => string>("agent-job/cli/NextCommands", {
  defaultValue: () => (text) => text
})
