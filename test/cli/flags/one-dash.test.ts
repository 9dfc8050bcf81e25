// Which words with one dash the command line accepts, and which it refuses.
import { describe, expect, it } from "@effect/vitest"
import { Command, Completions, Flag } from "effect/cli"
import { misread } from "../../../src/cli/flags/one-dash.ts"

const logs = Command.make("logs", {
  follow: Flag.Boolean("follow").pipe(Flag.withAlias("f")),
  workspace: Flag.String("workspace").pipe(Flag.withAlias("w")),
  var: Flag.String("var")
})
const program = Completions.fromCommand(Command.make("agent-job").pipe(Command.withSubcommands([logs])))
const typed = (line: string) => misread(line.split(" "), program)

describe("a word with one dash", () => {
  it.each(["logs -f -w demo", "logs -fw demo", "logs -w=demo", "logs --var a=-b", "logs -1", "logs -", "logs -- -var a", "-v", "logs -h"])(
    "is no mistake in %j",
    (line) => {
      expect(typed(line)).toBeUndefined()
    }
  )
  it.each([
    ["logs -var a=b", "There is no flag -var; did you mean --var?"],
    ["logs --follow -var=a", "There is no flag -var; did you mean --var?"],
    ["logs -var-file=a", "There is no flag -var-file; did you mean --var?"],
    ["logs -fv", "There is no flag -fv; agent-job logs --help lists those there are."],
    ["logs -wdemo", "There is no flag -wdemo; did you mean -w demo?"],
    ["logs -workspac", "There is no flag -workspac; did you mean --workspace or -w orkspac?"],
    ["-verbose logs", "There is no flag -verbose; agent-job logs --help lists those there are."],
    ["logs -v", "-v is no flag of agent-job logs; agent-job --version prints the version."],
    ["logs -v=a=s3cret", "-v is no flag of agent-job logs; agent-job --version prints the version."],
    ["logs --version=true", "--version is no flag of agent-job logs; agent-job --version prints the version."]
  ])("is a mistake in %j", (line, said) => {
    expect(typed(line)).toBe(said)
  })
})
