// The source of Flux that tasks follow, as source-controller leaves it: with an artifact, which may not be used while it is not ready.
// Invariant: no two artifacts have the same digest, so that the newest one has never been planned before it came.
// Used by test/simulation/simulation; judged by test/simulation/attempts.
import { createHash } from "node:crypto"
import { fluxSources } from "../../src/kubernetes/kinds.ts"
import type { OnChange } from "../../src/schema/task/source.ts"
import type { ApiServer } from "./api-server.ts"

const kind = fluxSources.GitRepository
const name = "source"

export class Source {
  readonly #server: ApiServer
  readonly #namespace: string
  #artifacts = 0
  ready = false

  constructor(server: ApiServer, namespace: string) {
    this.#server = server
    this.#namespace = namespace
    this.publish()
  }

  /** The digest of the newest artifact. */
  get newest(): string {
    return createHash("sha256").update(String(this.#artifacts)).digest("hex")
  }
  publish(): void {
    this.#artifacts++
    this.#write(true)
  }
  /** Says that the source is not ready, as if its server were away. */
  fail(): void {
    this.#write(false)
  }
  heal(): void {
    if (!this.ready) this.#write(true)
  }

  #write(ready: boolean): void {
    this.ready = ready
    this.#server.plant(kind, {
      metadata: { name, namespace: this.#namespace, uid: name, resourceVersion: "", generation: 1 },
      status: {
        observedGeneration: 1,
        conditions: [{ type: "Ready", status: ready ? "True" : "False", reason: "Model", message: "no answer" }],
        artifact: { url: "http://source/artifact.tar.gz", revision: `main@${this.#artifacts}`, digest: `sha256:${this.newest}` }
      }
    })
  }

  /** Returns what the spec of a task says that follows this source. */
  followed(onChange: OnChange) {
    return {
      source: { fluxSource: { kind: kind.kind, name, onChange } },
      ...(onChange === "planAndApply" && { savePlan: { claimName: "plans" } })
    }
  }
}
