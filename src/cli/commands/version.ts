// `agent-job version`: which agent-job this is, and on which Node it runs.
// The version is that of package.json; a bundle has it built in.
// Used by agent-job.ts.
import { Console } from "effect"
import { Command, Flag } from "effect/cli"
import manifest from "../../../package.json" with { type: "json" }

export const programVersion = manifest.version

const flags = {
  output: Flag.Literals("output", ["text", "json"]).pipe(
    Flag.withMetavar("text|json"),
    Flag.withAlias("o"),
    Flag.withDefault("text"),
    Flag.withDescription("How to print it.")
  )
}

export const version = Command.make("version", flags, ({ output }) =>
  Console.log(
    output === "json"
      ? JSON.stringify({ version: programVersion, node: process.versions.node, platform: `${process.platform}/${process.arch}` })
      : `agent-job ${programVersion} (Node ${process.versions.node}, ${process.platform}/${process.arch})`
  )).pipe(Command.withDescription("Print the version."))
