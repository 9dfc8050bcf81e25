// What a service logs, given LOG_LEVEL or SCALR_AGENT_DEBUG (the Helm chart's variable), and that it goes on when its log has no reader.
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { spawn } from "node:child_process"
import { text } from "node:stream/consumers"
import { vi } from "vitest"
import { AlreadyLogged, exitCode, NothingThere, TokenRefused } from "../../../src/cli/terminal/failure.ts"
import { serve } from "../../../src/cli/terminal/serve.ts"

it.live.each([
  { env: {}, debugs: false },
  { env: { SCALR_AGENT_DEBUG: "1" }, debugs: true },
  { env: { SCALR_AGENT_DEBUG: "true" }, debugs: true },
  { env: { SCALR_AGENT_DEBUG: "0" }, debugs: false },
  { env: { LOG_LEVEL: "Debug" }, debugs: true },
  { env: { LOG_LEVEL: "Warn", SCALR_AGENT_DEBUG: "1" }, debugs: false }
])("$env: debug logs: $debugs", ({ debugs, env }) =>
  Effect.gen(function*() {
    const lines: Array<unknown> = []
    const log = vi.spyOn(console, "log").mockImplementation((line: unknown) => void lines.push(line))
    yield* serve(Effect.logDebug("a detail")).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))))
    log.mockRestore()
    expect(lines.some((line) => String(line).includes("a detail"))).toBe(debugs)
  }))

it.live.each([
  { error: new NothingThere({ message: "There is no such task." }), code: exitCode.notThere },
  { error: new TokenRefused({ url: "https://a.example", given: true }), code: exitCode.tokenRefused }
])(
  "a service that fails with $error._tag has its exit code, $code, and tells of it in the last line of its log",
  ({ code, error }) =>
    Effect.gen(function*() {
      const log = vi.spyOn(console, "log").mockReturnValue()
      const ended = yield* Effect.flip(serve(Effect.fail(error)))
      const last = log.mock.lastCall
      log.mockRestore()
      expect(ended).toEqual(new AlreadyLogged({ code }))
      expect(last).toEqual([expect.stringContaining(JSON.stringify(error.message))])
    })
)

const talker = `
import { Effect } from "effect"
import { serve } from "./src/cli/terminal/serve.ts"
const talk = Effect.andThen(Effect.logInfo("still there"), Effect.andThen(Effect.sync(() => process.stdout.write("the engine's words\\n")), Effect.sleep("20 millis")))
await Effect.runPromise(serve(Effect.andThen(Effect.repeat(talk, { times: 20 }), Effect.sync(() => process.stderr.write("came to its end")))))
`

it.live("goes on to its end when the reader of its log goes away", () =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, ["--input-type=module", "--disable-warning=ExperimentalWarning", "--eval", talker], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    child.stdout.once("data", () => child.stdout.destroy())
    expect(await text(child.stderr)).toBe("came to its end")
    expect(child.exitCode ?? await new Promise((resolve) => child.on("exit", resolve))).toBe(0)
  }))
