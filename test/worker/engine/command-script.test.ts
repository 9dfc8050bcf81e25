// A command's script, read by each shell: the program gets exactly the arguments and variables that went in.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Command, commandScript } from "../../../src/worker/engine/command-script.ts"
import { type Place, place, shells } from "../../runner/session.ts"

/** Any text that a process can be given: without NUL, and without lone surrogates, which have no UTF-8. */
const Value = Schema.String.check(Schema.makeFilter((text: string) => text.isWellFormed() && !text.includes("\0")))
/** A name that begins with small letters, so that it is no variable that sh or printf heeds. */
const Name = Schema.String.check(Schema.isPattern(/^[a-z_]{2}[A-Za-z0-9_]{0,9}$/u))
const Values = Schema.Struct({ args: Schema.Array(Value), env: Schema.Record(Name, Value) })
type Values = typeof Values.Type

/** The arguments and variables that a program gets when `shell` reads the script. */
const received = ({ scratch, sh }: Place, { args, env }: Values) => {
  const names = Object.keys(env)
  const show = `printf '%s\\0' "$@" ${names.map((name) => `"$${name}"`).join(" ")} end`
  const script = Result.getOrThrow(commandScript("1", { argv: ["sh", "-c", show, "sh", ...args], env, cwd: scratch }))
  writeFileSync(join(scratch, "command"), script)
  const { output, status } = spawnSync(sh, [join(scratch, "command")], { stdio: ["ignore", "pipe", "inherit", "ignore", "pipe"] })
  return { values: String(output[1]).split("\0").slice(0, -1), announced: String(output[4]), status }
}

const awkward = [
  "",
  " ",
  "'",
  "''",
  `"`,
  "\\",
  "\\'",
  "$HOME",
  "$(id)",
  "`id`",
  "a\nb\n\n",
  "\n",
  "\r\n",
  "\t",
  "-n",
  "--",
  "-",
  "*",
  "~",
  "#",
  "!",
  "&;|<>(){}[]?",
  "é ü 漢字 🚀",
  "\u0081\u0088\u007f\u0001",
  "x".repeat(100_000)
]

describe.each(shells)("a command's script under %s", (shell) => {
  it.live("passes on every awkward value as it is", () =>
    Effect.gen(function*() {
      const env = Object.fromEntries(awkward.map((value, i) => [`v${i}`, value]))
      const { announced, status, values } = received(yield* place(shell), { args: awkward, env })
      assert.deepStrictEqual(values, [...awkward, ...awkward, "end"])
      assert.deepStrictEqual([announced, status], ["started 1\n", 0])
    }))

  it.effect.prop("passes on any arguments and variables", [Values], ([values]) =>
    Effect.gen(function*() {
      const out = received(yield* place(shell), values)
      assert.deepStrictEqual(out.values, [...values.args, ...Object.values(values.env), "end"])
    }).pipe(Effect.scoped), { arbitrary: { runs: 200 } })

  it.live("runs nothing in a directory that is not there", () =>
    Effect.gen(function*() {
      const { scratch, sh } = yield* place(shell)
      const script = Result.getOrThrow(commandScript("1", { argv: ["true"], env: {}, cwd: join(scratch, "it's gone") }))
      const { output, status } = spawnSync(sh, ["-c", script], { stdio: ["ignore", "pipe", "pipe", "ignore", "pipe"] })
      assert.deepStrictEqual([String(output[4]), status], ["", 126])
      assert.include(String(output[2]), "it's gone")
    }))
})

describe("a command", () => {
  const good: Command = { argv: ["tofu", "plan"], env: { TF_IN_AUTOMATION: "1" }, cwd: "/work" }
  it.each([
    { given: "a name with a dash", command: { ...good, env: { "TF_VAR_my-var": "secret" } }, says: /"TF_VAR_my-var" cannot be set/u },
    { given: "a name that is a command", command: { ...good, env: { "X=1; id;": "secret" } }, says: /cannot be set/u },
    { given: "an empty name", command: { ...good, env: { "": "secret" } }, says: /"" cannot be set/u },
    { given: "a name of the shell's own", command: { ...good, env: { UID: "secret" } }, says: /UID belongs to the runner's shell/u },
    { given: "a value with a NUL byte", command: { ...good, env: { KEY: "secret\0" } }, says: /KEY has a NUL byte/u },
    {
      given: "an argument with a NUL byte",
      command: { ...good, argv: ["tofu", "secret\0"] as const },
      says: /argument of tofu has a NUL byte/u
    },
    {
      given: "a program that looks like an option",
      command: { ...good, argv: ["-a"] as const },
      says: /"-a" is not the name of a program/u
    },
    { given: "a relative directory", command: { ...good, cwd: "work" }, says: /"work" is not an absolute path/u }
  ])("is refused for $given, and no value is told", ({ command, says }) => {
    const refused = Result.getFailure(commandScript("1", command))
    assert.match(refused._tag === "Some" ? refused.value : "", says)
    assert.notMatch(refused._tag === "Some" ? refused.value : "", /secret/u)
  })
})
