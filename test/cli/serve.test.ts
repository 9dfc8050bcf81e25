// How much a service logs: as LOG_LEVEL says, or as the variable of the Helm chart's agent does.
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { vi } from "vitest"
import { serve } from "../../src/cli/serve.ts"

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
