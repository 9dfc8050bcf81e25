// What a task says of each answer that keeps an object from being made, and when it asks again.
import { describe, expect, it } from "@effect/vitest"
import { Duration, Option } from "effect"
import {
  deletionRefusalOr,
  leaseRefusalOr,
  orUnsure,
  readRefusalOr,
  refusalBy,
  refusalOr
} from "../../../src/controller/reconcile/refusals.ts"
import type { Refusal } from "../../../src/core/task/observed.ts"
import {
  Forbidden,
  Gone,
  Invalid,
  type KubernetesError,
  Malformed,
  NotFound,
  Rejected,
  TooManyRequests,
  Unauthorized,
  Unreachable
} from "../../../src/kubernetes/errors.ts"
import type { OwnerReference } from "../../../src/kubernetes/object.ts"
import { plainSeed, worldOf } from "../../core/worlds.ts"

const { task } = worldOf(plainSeed)
const said = { verb: "create", object: "it", code: 403, reason: "" } as const
const unreadable =
  "Job in version \"v1\" cannot be handled as a Job: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
const badRequest = (detail: string) => new Rejected({ ...said, code: 400, reason: "BadRequest", detail })
const overload = (seconds: number) => new TooManyRequests({ ...said, code: 429, detail: "", retryAfter: Duration.seconds(seconds) })

describe("what the API server answers to a create", () => {
  it.each<{ given: string; answer: KubernetesError; kind: Refusal["kind"]; message: string; againInMillis?: number }>([
    {
      given: "of a quota",
      answer: new Forbidden({ ...said, detail: "exceeded quota: tasks" }),
      kind: "QuotaExceeded",
      message: "exceeded quota"
    },
    {
      given: "of a quota that is not counted yet",
      answer: new Forbidden({
        ...said,
        detail: "jobs.batch \"j\" is forbidden: status unknown for quota: tasks, resources: count/jobs.batch"
      }),
      kind: "QuotaExceeded",
      message: "status unknown for quota"
    },
    { given: "of a right", answer: new Forbidden({ ...said, detail: "no such right" }), kind: "Denied", message: "no such right" },
    {
      given: "of a webhook that names no code",
      answer: badRequest("webhook denied the request"),
      kind: "Denied",
      message: "webhook denied"
    },
    { given: "of what it cannot read", answer: badRequest(unreadable), kind: "Invalid", message: "quantities must match" },
    {
      given: "of a webhook that cannot read it",
      answer: badRequest(`admission webhook "w" denied the request: ${unreadable}`),
      kind: "Denied",
      message: "quantities must match"
    },
    {
      given: "of a rule",
      answer: new Invalid({ ...said, code: 422, detail: "spec.stage", causes: [] }),
      kind: "Invalid",
      message: "spec.stage"
    },
    { given: "of a webhook, with 401", answer: new Unauthorized({ ...said, code: 401, detail: "no" }), kind: "Refused", message: "no" },
    {
      given: "of a webhook, with 404",
      answer: new NotFound({ ...said, code: 404, detail: "no", isKindServed: true }),
      kind: "Refused",
      message: "no"
    },
    { given: "of a webhook, with 410", answer: new Gone({ ...said, code: 410, detail: "no" }), kind: "Refused", message: "no" },
    { given: "of a server with too much to do", answer: overload(1), kind: "Refused", message: "is overloaded" },
    { given: "of one that says when to come again", answer: overload(42), kind: "Refused", message: "is overloaded", againInMillis: 42_000 }
  ])("$given is told as $kind, and asked for again no sooner than it may be", ({ againInMillis = 10_000, answer, kind, message }) => {
    const refused = refusalOr(answer)
    expect(refused).toMatchObject({ _tag: "WriteRefused", kind, message: expect.stringContaining(message), againInMillis })
    expect(refused.message).not.toContain("42s") // a message that differed each time would be a write each time
  })

  it("is tried again where it was no answer", () => {
    const silence = new Unreachable({ verb: "create", object: "it", detail: "no answer in 30s" })
    expect([refusalOr(silence), orUnsure(silence)]).toEqual([silence, silence])
  })

  it("leaves open whether the object is there, where it says only that it failed", () => {
    const because = new Unreachable({ verb: "create", object: "it", detail: "HTTP 500", answered: true })
    expect(orUnsure(because)).toMatchObject({ _tag: "Unsure", because })
  })
})

describe("what the API server answers to a write of a workspace's Lease", () => {
  it.each<{ answer: KubernetesError; tag: string }>([
    { answer: new Forbidden({ ...said, detail: "of a policy" }), tag: "WriteRefused" },
    { answer: badRequest("denied"), tag: "WriteRefused" },
    { answer: new NotFound({ ...said, code: 404, detail: "gone", isKindServed: true }), tag: "NotFound" },
    { answer: new Gone({ ...said, code: 410, detail: "gone" }), tag: "Gone" },
    { answer: new Invalid({ ...said, code: 422, detail: "another's", causes: [] }), tag: "WriteRefused" }
  ])(
    "keeps its task from starting where it may not be written, and is looked at again where others wrote it: $answer._tag",
    ({ answer, tag }) => {
      expect(leaseRefusalOr(answer)._tag).toBe(tag)
    }
  )
})

describe("what the API server answers to the deletion of a Job", () => {
  it.each<{ answer: KubernetesError; is: object }>([
    { answer: new Forbidden({ ...said, detail: "of a policy" }), is: { _tag: "WriteRefused", kind: "Denied", ofDeletion: true } },
    { answer: new Invalid({ ...said, code: 422, detail: "a rule", causes: [] }), is: { _tag: "WriteRefused", kind: "Denied" } },
    {
      answer: new Unreachable({ verb: "delete", object: "it", detail: "HTTP 500", answered: true }),
      is: { _tag: "WriteRefused", kind: "Refused", againInMillis: 10_000 }
    },
    { answer: new Unreachable({ verb: "delete", object: "it", detail: "no answer in 30s" }), is: { _tag: "Unreachable" } },
    { answer: new NotFound({ ...said, code: 404, detail: "gone", isKindServed: true }), is: { _tag: "NotFound" } }
  ])(
    "is a refusal that others can mend, unless nothing was answered or the Job is gone: $answer._tag as $is",
    ({ answer, is }) => expect(deletionRefusalOr(answer)).toMatchObject(is)
  )
})

describe("what the API server answers to a look at what a start needs", () => {
  const silence = new Unreachable({ verb: "get", object: "it", detail: "no answer in 30s" })
  it.each<{ answer: KubernetesError; kind: Refusal["kind"] }>([
    { answer: new Forbidden({ ...said, detail: "no such right" }), kind: "Denied" },
    { answer: badRequest("unable to parse requirement"), kind: "Denied" },
    { answer: badRequest(unreadable), kind: "Denied" },
    { answer: new Invalid({ ...said, code: 422, detail: "a rule", causes: [] }), kind: "Denied" },
    { answer: new Malformed({ verb: "get", object: "it", detail: "spec" }), kind: "Denied" },
    { answer: new NotFound({ ...said, code: 404, detail: "no", isKindServed: true }), kind: "Refused" }
  ])(
    "keeps the task from starting until others mend it, and ends it no sooner than that: $answer._tag as $kind",
    ({ answer, kind }) => expect(readRefusalOr(answer)).toMatchObject({ _tag: "ReadRefused", kind, againInMillis: 10_000 })
  )

  it.each<KubernetesError>([silence, overload(1), new Unauthorized({ ...said, code: 401, detail: "no" })])(
    "is tried again where the next answer may be another: $_tag",
    (answer) => expect(readRefusalOr(answer)).toBe(answer)
  )

  it("is no end for good to a write of a Lease either, which others write too", () =>
    expect(leaseRefusalOr(new Invalid({ ...said, code: 422, detail: "a rule", causes: [] }))).toMatchObject({ kind: "Denied" }))
})

describe("an object that has the name of ours", () => {
  const found = (...ownerReferences: ReadonlyArray<OwnerReference>) => ({
    metadata: { name: "agent-job-task", namespace: "tasks", uid: "u", resourceVersion: "7", ownerReferences }
  })
  const owner = (name: string, uid: string, more: object = {}) => ({
    apiVersion: "scalr.io/v1",
    kind: "AgentTask",
    name,
    uid,
    controller: true,
    ...more
  })
  const wayOut = "wait until that Job is gone, or make one of the two tasks again under another name."

  it.each<
    {
      of: string
      owners: ReadonlyArray<OwnerReference>
      isSame?: boolean
      refusal: Option.Option<{ kind: Refusal["kind"]; message: string }>
    }
  >([
    { of: "this task", owners: [owner("task", task.metadata.uid)], refusal: Option.none() },
    {
      of: "who says to be this task, but makes something else",
      owners: [owner("task", task.metadata.uid)],
      isSame: false,
      refusal: Option.some({
        kind: "NameTaken",
        message: "Job agent-job-task says that it is of AgentTask task, but is not what that one makes; see who made it, and delete it."
      })
    },
    {
      of: "nobody",
      owners: [],
      refusal: Option.some({
        kind: "NameTaken",
        message: "Job agent-job-task exists, but no AgentTask made it; delete it, or make the task again under another name."
      })
    },
    {
      of: "one that only mentions this task",
      owners: [owner("task", task.metadata.uid, { controller: false })],
      refusal: Option.some({
        kind: "NameTaken",
        message: "Job agent-job-task exists, but no AgentTask made it; delete it, or make the task again under another name."
      })
    },
    {
      of: "a CronJob",
      owners: [owner("task", "other-uid", { kind: "CronJob" })],
      refusal: Option.some({
        kind: "NameTaken",
        message: "Job agent-job-task exists, but no AgentTask made it; delete it, or make the task again under another name."
      })
    },
    {
      of: "a former task of this name",
      owners: [owner("task", "former-uid")],
      refusal: Option.some({
        kind: "NameHeld",
        message: "Job agent-job-task of a former task of this name is still there; it is made again when that one is gone."
      })
    },
    {
      of: "another task, which needs the same name",
      owners: [owner("other", "other-uid")],
      refusal: Option.some({
        kind: "NameHeld",
        message: `Job agent-job-task belongs to AgentTask other, and this task needs the same name for its Job; ${wayOut}`
      })
    }
  ])("is of $of", ({ isSame = true, owners, refusal }) => {
    expect(Option.map(refusalBy("Job", found(...owners), task, isSame), ({ kind, message }) => ({ kind, message }))).toEqual(refusal)
  })
})
