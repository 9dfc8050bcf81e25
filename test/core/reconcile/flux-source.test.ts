// What a task gets from a source of Flux in each of its states, and with which message the task waits for it.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { sourceSeen } from "../../../src/core/reconcile/flux-source.ts"
import { SourceSeen } from "../../../src/core/task/observed.ts"
import type { FluxObject } from "../../../src/schema/kubernetes/kubernetes.ts"

const sha256 = "a".repeat(64)
const artifact = { url: "http://source-controller/a.tar.gz", revision: "main@sha1:a", digest: `sha256:${sha256}` }
const ready = (status: string, message?: string) => ({ conditions: [{ type: "Ready", status, ...(message !== undefined && { message }) }] })
const seen = (found: FluxObject | undefined) => sourceSeen({ kind: "GitRepository", name: "infra" }, Option.fromUndefinedOr(found))
const object = (status: FluxObject["status"], generation = 1): FluxObject => ({
  metadata: { generation },
  ...(status !== undefined && { status })
})

describe("a source of Flux", () => {
  it("gives its artifact when it is ready", () => {
    expect(seen(object({ observedGeneration: 1, ...ready("True"), artifact }))).toMatchObject({
      _tag: "Ready",
      artifact: { url: artifact.url, revision: artifact.revision, sha256 }
    })
  })

  it.each([
    {
      given: "it is not there",
      found: undefined,
      says: "There is no GitRepository infra in the namespace of the task; make it, or correct source.fluxSource."
    },
    { given: "nobody has looked at it", found: object(undefined), says: "Flux has not looked at GitRepository infra yet.", changed: true },
    {
      given: "it does not say whether it is ready",
      found: object({ observedGeneration: 1, artifact }),
      says: "Flux has not looked at GitRepository infra yet."
    },
    {
      given: "its spec is newer than its artifact",
      found: object({ observedGeneration: 1, ...ready("True"), artifact }, 2),
      says: "Flux has not looked at GitRepository infra yet.",
      changed: true
    },
    {
      given: "a person has suspended it, which Flux does not look at",
      found: { ...object({ observedGeneration: 1, ...ready("True"), artifact }, 2), spec: { suspend: true } },
      says: "GitRepository infra is suspended, so nothing new starts from it; resume it to go on.",
      changed: true
    },
    {
      given: "it has failed since its spec was changed, whatever it had before",
      found: object({ observedGeneration: 1, ...ready("False", "couldn't find remote ref prod"), artifact }, 2),
      says: "GitRepository infra is not ready: couldn't find remote ref prod.",
      changed: true
    },
    {
      given: "it has failed, whatever it had before",
      found: object({ observedGeneration: 1, ...ready("False", "authentication required"), artifact }),
      says: "GitRepository infra is not ready: authentication required."
    },
    {
      given: "it has failed, with a reason alone",
      found: object({ observedGeneration: 1, conditions: [{ type: "Ready", status: "False", reason: "AuthenticationFailed" }], artifact }),
      says: "GitRepository infra is not ready: AuthenticationFailed."
    },
    {
      given: "it has failed, and says no more",
      found: object({ observedGeneration: 1, ...ready("Unknown"), artifact }),
      says: "GitRepository infra is not ready: Flux does not say why."
    },
    {
      given: "it has failed, in the words of a Git server on several lines, some of them for a terminal",
      found: object({ observedGeneration: 1, ...ready("False", "unable to clone:\nremote: \u001b[2Jdenied\u202e\n\n"), artifact }),
      says: "GitRepository infra is not ready: unable to clone: remote: [2Jdenied."
    },
    {
      given: "it is ready without an artifact",
      found: object({ observedGeneration: 1, ...ready("True") }),
      says: "GitRepository infra has no artifact yet."
    },
    {
      given: "its digest is another one",
      found: object({ observedGeneration: 1, ...ready("True"), artifact: { ...artifact, digest: "sha512:b" } }),
      says: "The artifact of GitRepository infra has no SHA-256 digest (sha512:b); let source-controller make one."
    },
    {
      given: "its digest is another one of the same length",
      found: object({ observedGeneration: 1, ...ready("True"), artifact: { ...artifact, digest: `blake3:${sha256}` } }),
      says: `The artifact of GitRepository infra has no SHA-256 digest (blake3:${sha256}); let source-controller make one.`
    },
    {
      given: "its revision is longer than a task keeps",
      found: object({
        observedGeneration: 1,
        ...ready("True"),
        artifact: { ...artifact, revision: `${"x".repeat(500)}@sha1:${"a".repeat(40)}` }
      }),
      says: "The revision of GitRepository infra, or the URL of its artifact, is too long; shorten the name of its branch or tag."
    }
  ])(
    "says so when $given, and whether its spec was changed since",
    ({ changed = false, found, says }) => expect(seen(found)).toEqual(SourceSeen.NotReady({ message: says, changed }))
  )
})
