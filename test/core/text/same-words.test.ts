import { describe, expect, it } from "vitest"
import { sayTheSame } from "../../../src/core/text/same-words.ts"

const refused = (pod: string, used: number, limited = 10) =>
  `Kubernetes cannot create the Pod: Error creating: pods "${pod}" is forbidden: exceeded quota: few, requested: pods=1, used: pods=${used}, limited: pods=${limited}`
const sandbox = (digit: string, network: string) =>
  `Node node cannot set up the Pod yet: Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "${
    digit.repeat(64)
  }": plugin type="x" failed (add): netns /var/run/netns/cni-${network}: no address`
const denied = (digit: string) => `admission webhook "images" denied the request: image r/agent@sha256:${digit.repeat(64)} is not signed`
const blocked = (kind: string, name: string) =>
  `Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: resource ${kind}/tasks/${name} was blocked due to the following policies a: b`
const unattached = (claim: string) => `Multi-Attach error for volume "pvc-${claim}": it is used by another Pod`
const restarting = (wait: string, container = "runner") =>
  `Container runner ends as soon as it starts: back-off ${wait} restarting failed container=${container} pod=job-7mg4v_tasks(u)`
const unpulled = (words: string) => `Container runner cannot get its image yet; check its name, tag and pull secrets: ${words}`
const pulling = (error: string) => unpulled(`Back-off pulling image "r/agent:1": ErrImagePull: ${error}`)
const [one, other] = ["0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-00000000000f"]

describe("two messages", () => {
  it.each([
    { is: "name different Pods that a quota has no room for", words: [refused("job-7mg4v", 10), refused("job-cjtfd", 10)], same: true },
    { is: "name different Pods that Kyverno denies", words: [blocked("Pod", "job-7mg4v"), blocked("Pod", "job-cjtfd")], same: true },
    { is: "name different Jobs that it denies", words: [blocked("Job", "job-1"), blocked("Job", "job-2")], same: false },
    { is: "tell how much others have of a quota", words: [refused("job-7mg4v", 10), refused("job-7mg4v", 12)], same: true },
    { is: "tell different limits of a quota", words: [refused("job-7mg4v", 10), refused("job-7mg4v", 10, 20)], same: false },
    { is: "name the sandbox of each try", words: [sandbox("a", one), sandbox("7", other)], same: true },
    { is: "begin as one for many", words: ["Error: no", "(combined from similar events): Error: no"], same: true },
    { is: "tell how long the kubelet waits", words: [restarting("10s"), restarting("2m40s")], same: true },
    { is: "tell it of different containers", words: [restarting("10s"), restarting("10s", "proxy")], same: false },
    { is: "come of a try to pull, and of the wait after it", words: [unpulled("not found"), pulling("not found")], same: true },
    { is: "come of a try to pull, and of the wait after another", words: [unpulled("no route"), pulling("not found")], same: false },
    { is: "name different images", words: [denied("a"), denied("7")], same: false },
    { is: "name different tasks", words: [`Waiting for task-${one}.`, `Waiting for task-${other}.`], same: false },
    { is: "name different volumes", words: [unattached(one), unattached(other)], same: false },
    { is: "name different Secrets", words: ["secret \"a1\" not found", "secret \"a2\" not found"], same: false },
    { is: "name different Pods of another kind of error", words: ["pods \"a1\" not found", "pods \"a2\" not found"], same: false },
    { is: "have other words", words: ["no address", "no route"], same: false }
  ])("that $is say the same: $same", ({ same, words: [first = "", second = ""] }) => expect(sayTheSame(first, second)).toBe(same))
})
