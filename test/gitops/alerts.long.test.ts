// The alerts of flux/clusters with the real notification-controller: errors reach the webhook that a team named, and nothing else does.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { kubectl, until } from "./cluster.ts"
import { becomes, Flux, fluxNamespace, RealFluxWithAlerts } from "./flux.ts"
import { serveHttp } from "./program.ts"

/** Starts a webhook of a chat. Returns its address, and the list of the messages that it has received. */
const webhook = Effect.gen(function*() {
  const told: Array<string> = []
  const url = yield* serveHttp((request, response) => {
    const parts: Array<string> = []
    request.setEncoding("utf8").on("data", (part: string) => parts.push(part)).on("end", () => {
      told.push(parts.join(""))
      response.end()
    })
  })
  return { told, address: `${url}/hook` }
})

const platform = "flux/platform/standalone/kustomization.yaml"

layer(RealFluxWithAlerts, { excludeTestServices: true, timeout: "5 minutes" })("the alerts of Flux", (it) => {
  it.effect("say to the webhook of the Secret what does not build, and are silent about what goes well", () =>
    Effect.gen(function*() {
      const { bootstrap, publish, read, write } = yield* Flux
      const { address, told } = yield* webhook
      kubectl(["-n", fluxNamespace, "create", "secret", "generic", "agent-job-alerts", `--from-literal=address=${address}`])
      bootstrap("flux/clusters/staging")
      yield* becomes("agent-job", "ReconciliationSucceeded", yield* publish)
      write(platform, read(platform).replace("components:", "  - missing.yaml\ncomponents:"))
      yield* publish
      yield* until("the alert", Effect.sync(() => [...told]), (_) => _.length > 0)
      const [alert = ""] = told
      expect(JSON.parse(alert)).toMatchObject({
        channel: "infrastructure",
        attachments: [{ author_name: `kustomization/agent-job.${fluxNamespace}`, text: expect.stringContaining("missing.yaml") }]
      })
      expect(told.filter((_) => !_.includes("missing.yaml"))).toEqual([])
    }))
})
