import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { changes, leaving } from "../../../src/core/migration/changes.ts"
import { handOver, wayBack } from "../../../src/core/migration/hand-over.ts"
import { type Move, move } from "../../../src/core/migration/move.ts"
import { report } from "../../../src/core/migration/report.ts"
import type { HelmRelease } from "../../../src/schema/helm-release.ts"
import { overrides } from "../../../src/schema/values.ts"
import { firstRelease, laterRelease, objectOf } from "./releases.ts"

const moved = (release: HelmRelease): Move => Result.getOrThrow(move(release))
const titles = (release: HelmRelease) => handOver(moved(release), "out").map(({ title }) => title)
const withToken = (agent: object = {}) => ({ agent: { token: "hunter2", url: "https://example.com", ...agent } })

describe("the values of a release", () => {
  it("of 0.5.59 are the user's own, but for the token", () => {
    const { values } = moved(firstRelease({ ...withToken(), task: { job: { backoffLimit: 2 } } }))
    expect(overrides(values)).toEqual({ agent: { tokenExistingSecret: { name: "blue-token" }, url: "https://example.com" }, task: { job: { backoffLimit: 2 } } })
  })

  it("may have a number for a tag, as the chart takes it", () => {
    expect(overrides(moved(firstRelease({ task: { runner: { image: { tag: 1.12 } } } })).values)).toEqual({ task: { runner: { image: { tag: "1.12" } } } })
  })

  it.each([
    { given: { tokenExistingSecret: "mine", tokenExistingSecretKey: "tok" }, secret: { name: "mine", key: "tok" } },
    { given: { tokenExistingSecret: "mine" }, secret: { name: "mine" } },
    { given: { tokenExistingSecret: "", token: "hunter2" }, secret: { name: "blue-token" } }
  ])("may name the Secret of the token as a text: $given", ({ given, secret }) => {
    const release = { ...firstRelease({ agent: { url: "https://example.com", ...given } }), defaults: { agent: { tokenExistingSecret: "", tokenExistingSecretKey: "token" } } }
    const { given: { unknown }, values } = moved(release)
    expect([overrides(values), unknown]).toEqual([{ agent: { tokenExistingSecret: secret, url: "https://example.com" } }, []])
  })

  it("of 0.6.5 say what its defaults are, where ours differ", () => {
    const { values } = moved(laterRelease({ agent: { resources: { requests: { memory: "512Mi" } } } }))
    const user = { runAsGroup: 1000, runAsUser: 1000 }
    expect(overrides(values)).toEqual({
      agent: { securityContext: user },
      controller: { podSecurityContext: { fsGroup: 1000, ...user }, resources: { limits: null, requests: { memory: "512Mi" } } },
      persistence: { emptyDir: { sizeLimit: "4Gi" } },
      restrictMetadataService: true,
      task: { podSecurityContext: { fsGroup: 1000, ...user }, runner: { securityContext: user } }
    })
  })

  it("that cannot be used are all told", () => {
    expect(move(firstRelease({ agent: { image: { tag: true }, dataDir: "data" } }))).toEqual(Result.fail([expect.stringContaining("agent.dataDir: "), expect.stringContaining("agent.image.tag: ")]))
  })
})

describe("what changes", () => {
  it.each([
    { given: "an annotation given twice", config: { global: { podAnnotations: { a: "1", b: "1" } }, task: { podAnnotations: { a: "2", b: "1" } } }, says: "Annotation `a` of Pods of tasks is that of `task.podAnnotations`; the chart took the global one." },
    { given: "an environment that the chart did not read", config: { global: { extraEnv: { A: "1" } } }, says: "`global.extraEnv` is in effect in every container; the chart did not read it." },
    { given: "labels that the chart did not read", config: { serviceAccount: { labels: { a: "b" } } }, says: "`serviceAccount.labels` are in effect; the chart did not read them." },
    { given: "a tag alone", config: { task: { worker: { image: { tag: "1" } } } }, says: "Tag and pull policy of `task.worker.image` are in effect without a repository too; the chart left them out." },
    { given: "an image of the chart's agent", config: { controller: { image: { tag: "0.54.0" } } }, says: "`agent.image`, `controller.image` must name images with this program, and `task.runner.image` one with your engine (`make image` builds both); those of the chart's agent cannot run it." },
    { given: "a cloud identity", config: { serviceAccount: { annotations: { role: "a" } } }, says: "Both accounts have the annotations of `serviceAccount.annotations`; what they give in your cloud must be granted to `system:serviceaccount:scalr:blue-task` too." },
    { given: "an account of others", config: { serviceAccount: { create: false, name: "theirs" } }, says: "Roles and bindings are made for the account `theirs`; the chart made none without `serviceAccount.create`." },
    { given: "the metadata service closed", config: { restrictMetadataService: true }, says: "The NetworkPolicy keeps the Pods of tasks, too, from metadata services and link-local addresses, in IPv4 and IPv6, but for their DNS; the chart's reached the controller alone, and cut all of IPv6." },
    { given: "retries", config: { task: { job: { backoffLimit: 2 } } }, says: "`task.job.backoffLimit` (2) counts starts that failed; a stage that has begun is never started again." },
    { given: "a key that is unknown", config: { task: { job: { backofLimit: 2 } } }, says: "`task.job.backofLimit` is unknown here and is left out; the nearest key is `task.job.backoffLimit`." },
    { given: "a secret", config: withToken(), says: "`agent.token` stood in the values in the clear; it is key `token` of Secret `blue-token` now." }
  ])("tells of $given", ({ config, says }) => {
    expect(changes(moved(firstRelease(config)))).toContain(says)
    expect(changes(moved(firstRelease({})))).not.toContain(says)
  })

  it("tells that nobody is asked for work without a server", () => {
    expect(changes(moved(firstRelease({})))).toContain("There is no `agent.url`, so the controller asks no server for work: it runs the AgentTasks that others make.")
  })

  it("tells of a claim that goes", () => {
    const claim = objectOf("PersistentVolumeClaim", "blue-agent-job")
    expect(changes(moved(firstRelease({ persistence: { enabled: true } }, [claim])))).toContain("The claim `blue-agent-job` goes with the release, and with it a cache, which fills itself again; `blue-cache` comes instead.")
  })
})

describe("what goes", () => {
  it("is told with its namespace, if its kind has one", () => {
    expect(leaving(moved(firstRelease({}, [{ kind: "ClusterRole", metadata: { name: "r" } }, { kind: "Role", metadata: { name: "r" } }])))).toEqual([
      "Deployment scalr/scalr-agent-controller", "AgentTask scalr/scalr-agent-task", "ClusterRole r", "Role scalr/r"
    ])
  })
})

describe("the hand-over", () => {
  it("stops the old controller and waits for its Jobs before anything new is applied, and removes the release last", () => {
    expect(titles(firstRelease(withToken()))).toEqual(["Make the Secret `blue-token`", "Stop the old controller", "Wait for the Jobs that run", "Apply the overlay", "Remove the release"])
  })

  it("removes the release first where it has objects of the same names, which it would take along", () => {
    const release = { ...firstRelease({}), name: "scalr-agent" }
    expect(titles(release)).toEqual(["Stop the old controller", "Wait for the Jobs that run", "Remove the release", "Apply the overlay"])
    expect(moved(release).clashes.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual(["Deployment/scalr-agent-controller"])
    expect(wayBack(moved(release))).toEqual([])
  })

  it("waits as long as the old controller may take", () => {
    expect(handOver(moved(firstRelease({})), "out")[0]?.commands).toEqual([
      "kubectl -n scalr scale deployment scalr-agent-controller --replicas=0",
      "kubectl -n scalr wait --for=delete pod -l app.kubernetes.io/instance=blue --timeout=420s"
    ])
  })

  it("never takes an answer that fails for one without Pods", () => {
    expect(handOver(moved(firstRelease({})), "out")[1]?.commands).toEqual([[
      "until pods=$(kubectl -n scalr get pods -l app.kubernetes.io/component=task,app.kubernetes.io/instance=blue \\",
      "    --field-selector=status.phase!=Succeeded,status.phase!=Failed -o name) && [ -z \"$pods\" ]; do sleep 5; done"
    ].join("\n")])
  })

  it("has a way back until the release is removed", () => {
    expect(wayBack(moved(firstRelease({})))).toEqual([
      "kubectl -n scalr scale deployment blue-controller --replicas=0",
      "helm show crds CHART --version 0.5.59 | kubectl apply --server-side --force-conflicts -f -",
      "kubectl -n scalr scale deployment scalr-agent-controller --replicas=1"
    ])
  })

  it("takes over the CRD of 0.5.59, and that of later charts is removed when nobody needs it", () => {
    expect(report(moved(firstRelease({})), "my out")).toContain("    kubectl apply --server-side --force-conflicts -k 'my out'\n")
    expect(titles(laterRelease({})).at(-1)).toBe("Remove the chart's CustomResourceDefinition")
  })

  it("keeps Flux from undoing it", () => {
    const labels = { "helm.toolkit.fluxcd.io/name": "agents", "helm.toolkit.fluxcd.io/namespace": "flux-system" }
    const release = firstRelease({}, [{ kind: "Role", metadata: { name: "r", labels } }])
    const commands = handOver(moved(release), "out").flatMap((_) => _.commands)
    expect(commands[0]).toBe("flux -n flux-system suspend helmrelease agents")
    expect(commands.at(-1)).toBe("kubectl -n flux-system delete helmreleases.helm.toolkit.fluxcd.io agents")
  })

  it("shows no secret", () => {
    expect(report(moved(firstRelease(withToken({ extraEnv: { PASSWORD: "hunter2" } }))), "out")).not.toContain("hunter2")
  })
})
