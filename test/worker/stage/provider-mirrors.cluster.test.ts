// A stage whose provider comes from a directory of its runner, or from a mirror that needs a token, over https with a certificate authority
// that no image knows.
// The engine and the provider are real.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { configOf } from "../../core/configs.ts"
import { authority } from "../../http/certificates.ts"
import { fakeKubernetes } from "../fake-kubernetes.ts"
import { find, pod } from "../pod.ts"
import { mirrorServer } from "./mirror-server.ts"

const main = `
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
resource "time_static" "now" {}
`
const token = "very-secret-token"

/** Makes a mount as the kubelet does: the key is a link through the link `..data`, which leads to a dated directory. */
const mounted = (place: string, certificate: string): string => {
  const directory = join(place, "mounted")
  mkdirSync(join(directory, "..2026_01_01"), { recursive: true })
  writeFileSync(join(directory, "..2026_01_01/ca.crt"), certificate)
  symlinkSync("..2026_01_01", join(directory, "..data"))
  symlinkSync("..data/ca.crt", join(directory, "ca.crt"))
  return directory
}

describe("a stage with a mirror of the values", () => {
  it.live("takes its provider from a directory of its runner that no engine knows by itself", () =>
    Effect.gen(function*() {
      const here = yield* pod()
      const path = join(dirname(here.claim), "providers")
      renameSync(join(dirname(here.claim), "mirror"), path)
      const { mirrors } = configOf({ agent: { providerFilesystemMirrors: [{ path, include: ["hashicorp/time"] }] } }).task
      const task = fakeKubernetes({ workspace: "demo", stage: "plan", source: { inline: { "main.tf": main } } })
      yield* here.run(task, { AGENT_JOB_PROVIDER_MIRRORS: JSON.stringify(mirrors) })
      expect(task.task().status.reason, here.log()).toBe("Completed")
    }).pipe(Effect.scoped))
  it.live.each([{ given: "its token", good: true }, { given: "a wrong one", good: false }])(
    "fetches its provider there with $given, or says so",
    ({ good }) =>
      Effect.gen(function*() {
        const here = yield* pod()
        const ca = authority(here.claim)
        const mirror = yield* mirrorServer(ca.sign("mirror"), token, find("terraform-provider-time"))
        const { env, mirrors } = {
          ...configOf({ agent: { providerNetworkMirrors: [{ url: mirror.url, tokenSecret: { name: "mirror" } }] } }).task,
          ...configOf({ global: { tls: { caBundle: ca.cert } } }).task.runner
        }
        const trusted = env.SSL_CERT_DIR?.replace("/var/run/agent-job/ca-bundle", mounted(here.claim, ca.cert)) ?? ""
        const task = fakeKubernetes({
          workspace: "demo",
          stage: "plan",
          source: { inline: { "main.tf": main } },
          variables: [{ name: "SSL_CERT_DIR", value: trusted, category: "env" }]
        })
        yield* here.run(task, {
          AGENT_JOB_PROVIDER_MIRRORS: JSON.stringify(mirrors),
          AGENT_JOB_MIRROR_TOKEN_0: good ? token : "another-token"
        })
        expect(task.task().status.reason, here.log()).toBe(good ? "Completed" : "ProviderMissing")
        expect(mirror.asked.map((_) => _.split("/").at(-1))).toEqual(good ? ["index.json", "0.14.2.json", "time.zip"] : [])
        if (!good) expect(here.log()).toContain("rejected")
        expect(here.log()).not.toMatch(/very-secret-token|another-token/u)
        expect(readdirSync(join(here.dataDirectory, "tmp"))).not.toContain("mirrors.tfrc")
      }).pipe(Effect.scoped)
  )
})
