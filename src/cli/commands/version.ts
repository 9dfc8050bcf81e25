// `agent-job version`: which agent-job this is, and on which Node it runs.
// Used by agent-job.ts.
import { Command } from "effect/cli"
import { programVersion } from "../../schema/program-version.ts"
import { outputFlag, print } from "../terminal/answer.ts"

export const version = Command.make("version", { output: outputFlag }, ({ output }) => {
  const document = { version: programVersion, node: process.versions.node, platform: `${process.platform}/${process.arch}` }
  return print(output, { document, lines: [`agent-job ${programVersion} (Node ${document.node}, ${document.platform})`] })
}).pipe(Command.withDescription("Print the version."))
