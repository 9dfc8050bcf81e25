// The real engine without a pool, whose backend lets it lock and read its state, and takes no state from it.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { inline, ran } from "../whole-stage.ts"

/** A backend `http` whose session is over when the state comes. */
const backend = Effect.map(
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const status: Readonly<Record<string, number>> = { GET: 404, POST: 403 }
      const server = createServer((request, response) =>
        request.resume().on("end", () => response.writeHead(status[request.method ?? ""] ?? 200).end())
      ).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ),
  (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
)

it.live("an apply whose backend does not take its state tells where the engine has left it, and keeps the Pod that has it", () =>
  Effect.gen(function*() {
    const configuration = { "main.tf": "resource \"terraform_data\" \"made\" {}" }
    const { log, status } = yield* ran(
      inline("apply", configuration, { backend: { type: "http", config: { address: yield* backend } } }),
      {},
      () => ({ AGENT_JOB_STATE_PATIENCE: "2 seconds" })
    )
    expect(status.result, log()).toMatchObject({ reason: "StateNotSaved", statePushed: false, exitCode: 1 })
    expect(log()).toMatch(/The last state is in \S+\/errored\.tfstate, and its backend did not take it\. .* The Pod stays for 2s/u)
    expect(status.message).toContain("terraform_data.made")
  }))
