// The folder flux/ as a team uses it, in the hands of the real kustomize-controller: from the first commit to the removal of all of it.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, configMaps, deployments, jobs, namespaces } from "../../src/kubernetes/kinds.ts"
import { serviceAccounts } from "../kubernetes/service-accounts.ts"
import {
  at,
  controllerPlace,
  crdName,
  definitions,
  isThere,
  kubectl,
  productNamespace,
  refused,
  roleBindings,
  statefulSets,
  until
} from "./cluster.ts"
import { becomes, Flux, fluxNamespace, kustomizations, RealFlux, reconcile } from "./flux.ts"
import { bring, createTask, end, run, statuses, task, taskNamespace } from "./tasks.ts"

const deployment = Effect.gen(function*() {
  return yield* (yield* Kubernetes).get(deployments, controllerPlace)
})
const image = Effect.map(deployment, (_) => String(at(_, "spec", "template", "spec", "containers", 0, "image")))

const namespacesStay = Effect.gen(function*() {
  for (const name of [productNamespace, taskNamespace]) {
    expect((yield* (yield* Kubernetes).get(namespaces, { name })).metadata).not.toHaveProperty("deletionTimestamp")
  }
})

const suspend = (name: string, suspended: boolean) =>
  kubectl(["-n", fluxNamespace, "patch", `kustomization/${name}`, "--type=merge", `--patch={"spec":{"suspend":${suspended}}}`])

const sample = "flux/samples/greeting.yaml"
const samplesKustomization = "flux/samples/kustomization.yaml"
const applyOf = (name: string): string =>
  JSON.stringify({
    apiVersion: "scalr.io/v1",
    kind: "AgentTask",
    metadata: { name, namespace: taskNamespace },
    spec: { workspace: name, stage: "apply", source: { inline: { "main.tf": "" } } }
  })

layer(RealFlux, { excludeTestServices: true, timeout: "5 minutes" })("flux", (it) => {
  it.effect("installs in order: the CRD, the platform, the samples, each once the one before is healthy", () =>
    Effect.gen(function*() {
      const { bootstrap, publish } = yield* Flux
      bootstrap("flux/clusters/staging")
      const revision = yield* publish
      yield* becomes("agent-job-samples", "DependencyNotReady")
      yield* becomes("agent-job-crds", "ReconciliationSucceeded", revision)
      yield* becomes("agent-job", "ReconciliationSucceeded", revision)
      yield* until("the sample", isThere(agentTasks, "greeting-1", taskNamespace), (_) => _)
      expect((yield* becomes("agent-job-samples", "Progressing")).ready).toBe("Unknown") // its task has not ended, nor even begun
      yield* bring("greeting-1", ...statuses.Succeeded)
      yield* becomes("agent-job-samples", "ReconciliationSucceeded", revision)
    }))

  it.effect("puts the cluster's settings into what it applies, and leaves what is escaped to the engine", () =>
    Effect.gen(function*() {
      const { spec } = yield* task("greeting-1")
      expect(spec.variables).toEqual([{ name: "cluster", value: "staging" }])
      expect(spec.source.inline?.["main.tf"]).toContain("\"hello, ${var.cluster}\"")
      expect(yield* image).toBe("registry.example.com/you/agent-job:0.1.0")
    }))

  it.effect("corrects drift: what was changed by hand is put back, what was deleted is made again", () =>
    Effect.gen(function*() {
      kubectl(["-n", productNamespace, "scale", "deployment/agent-job-controller", "--replicas=0"])
      yield* (yield* Kubernetes).delete(roleBindings, { name: "agent-job-task", namespace: taskNamespace })
      reconcile("agent-job")
      yield* until("the replicas", deployment, (_) => at(_, "spec", "replicas") === 1)
      yield* until("the role binding", isThere(roleBindings, "agent-job-task", taskNamespace), (_) => _)
    }))

  it.effect("upgrades: other settings of the cluster reach the controller as soon as they are there", () =>
    Effect.gen(function*() {
      const { bootstrap, read, write } = yield* Flux
      const file = "flux/clusters/staging/settings.yaml"
      write(file, read(file).replace(`image_tag: "0.1.0"`, `image_tag: "9.9.9"\n  tasks_total: "7"`))
      bootstrap("flux/clusters/staging")
      yield* until("the other version", image, (_) => _ === "registry.example.com/you/agent-job:9.9.9")
      expect(
        at(yield* (yield* Kubernetes).get(configMaps, { name: "agent-job-config", namespace: productNamespace }), "data", "settings.yaml")
      ).toContain("total: 7")
      yield* becomes("agent-job", "ReconciliationSucceeded")
    }))

  it.effect("reports a revision that does not build, names the file, and leaves what runs as it is", () =>
    Effect.gen(function*() {
      const { publish, read, write } = yield* Flux
      const file = "flux/platform/standalone/kustomization.yaml"
      const whole = read(file)
      const { metadata } = yield* deployment
      write(file, whole.replace("components:", "  - missing.yaml\ncomponents:"))
      yield* publish
      expect((yield* becomes("agent-job", "BuildFailed")).message).toContain("missing.yaml")
      expect((yield* deployment).metadata.generation).toBe(metadata.generation)
      write(file, whole)
      yield* becomes("agent-job", "ReconciliationSucceeded", yield* publish)
    }))

  it.effect("reports a task that was changed rather than made anew, applies nothing of that revision, and says what to do", () =>
    Effect.gen(function*() {
      const { publish, read, write } = yield* Flux
      const [whole, all] = [read(sample), read(samplesKustomization)]
      write(sample, whole.replace("hello,", "goodbye,"))
      write("flux/samples/other.yaml", applyOf("other"))
      write(samplesKustomization, all.replace("- greeting.yaml", "- greeting.yaml\n  - other.yaml"))
      yield* publish
      expect((yield* becomes("agent-job-samples", "ReconciliationFailed")).message).toContain("make a new AgentTask instead")
      expect((yield* task("greeting-1")).status.phase).toBe("Succeeded")
      expect(yield* isThere(agentTasks, "other", taskNamespace)).toBe(false)
      write(sample, whole)
      write(samplesKustomization, all)
      yield* becomes("agent-job-samples", "ReconciliationSucceeded", yield* publish)
    }))

  it.effect("goes back to an older release whose artifact has the newer CRD; while that of the CRD is suspended, nothing goes back", () =>
    Effect.gen(function*() {
      const { publish, read, write } = yield* Flux
      const [crd, deploymentFile] = ["kustomize/crd/crd.yaml", "kustomize/base/deployment.yaml"]
      const older = { crd: read(crd), deployment: read(deploymentFile) }
      const newerCrd = older.crd.replace("annotations:", "annotations:\n    release: newer")
      const crdIsNewer = Effect.map(
        Effect.flatMap(Kubernetes, (_) => _.get(definitions, { name: crdName })),
        (_) => at(_, "metadata", "annotations", "release") === "newer"
      )
      const isNewer = Effect.map(deployment, (_) => at(_, "metadata", "annotations", "release") === "newer")
      write(crd, newerCrd)
      write(deploymentFile, older.deployment.replace("metadata:", "metadata:\n  annotations:\n    release: newer"))
      yield* becomes("agent-job", "ReconciliationSucceeded", yield* publish)
      expect([yield* crdIsNewer, yield* isNewer]).toEqual([true, true])

      suspend("agent-job-crds", true)
      write(crd, older.crd)
      write(deploymentFile, older.deployment)
      yield* publish
      expect((yield* becomes("agent-job", "DependencyNotReady")).message).toContain("revision is not up to date")
      expect(yield* isNewer).toBe(true)

      write(crd, newerCrd) // as in crd-upgrades.md, "Going back"
      const revision = yield* publish
      suspend("agent-job-crds", false)
      yield* becomes("agent-job", "ReconciliationSucceeded", revision)
      expect([yield* crdIsNewer, yield* isNewer]).toEqual([true, false])
    }))

  it.effect("does not put back an older CRD, nor anything else of its revision, and says what to do, also where that has no such guard yet", () =>
    Effect.gen(function*() {
      const { publish, read, write } = yield* Flux
      const [crd, guard, deploymentFile] = [
        "kustomize/crd/crd.yaml",
        "kustomize/guard/kustomization.yaml",
        "kustomize/base/deployment.yaml"
      ]
      const whole = new Map([crd, guard, deploymentFile].map((file) => [file, read(file)]))
      const { metadata } = yield* deployment
      write(crd, read(crd).replace(/title: \d+ fields/u, "title: 9 fields"))
      write(guard, read(guard).replace("  - older-definition.yaml\n", ""))
      write(deploymentFile, read(deploymentFile).replace("  replicas:", "  minReadySeconds: 1\n  replicas:"))
      yield* publish
      expect((yield* becomes("agent-job-crds", "ReconciliationFailed")).message).toContain("put everything back but the CRD")
      yield* becomes("agent-job", "DependencyNotReady")
      expect((yield* deployment).metadata.generation).toBe(metadata.generation)
      for (const [file, text] of whole) write(file, text)
      yield* becomes("agent-job", "ReconciliationSucceeded", yield* publish)
    }))

  it.effect("holds a revision back while suspended, and applies it when resumed", () =>
    Effect.gen(function*() {
      const { publish, read, write } = yield* Flux
      suspend("agent-job-samples", true)
      write("flux/samples/migration.yaml", applyOf("migration-1"))
      write(samplesKustomization, read(samplesKustomization).replace("- greeting.yaml", "- greeting.yaml\n  - migration.yaml"))
      const revision = yield* publish
      yield* becomes("agent-job", "ReconciliationSucceeded", revision) // by then Flux would have seen it
      expect(yield* isThere(agentTasks, "migration-1", taskNamespace)).toBe(false)
      suspend("agent-job-samples", false)
      yield* until("the task", isThere(agentTasks, "migration-1", taskNamespace), (_) => _)
      yield* run("migration-1")
    }))

  it.effect("prunes no task whose apply runs: it says so, and prunes it once that is over", () =>
    Effect.gen(function*() {
      const { publish, read, write } = yield* Flux
      write(samplesKustomization, read(samplesKustomization).replace("\n  - migration.yaml", ""))
      yield* publish
      expect((yield* becomes("agent-job-samples", "PruneFailed")).message).toContain(
        `its apply of workspace migration-1 is running: wait until it is over, or cancel it first with agent-job cancel migration-1 --namespace ${taskNamespace}`
      )
      expect((yield* task("migration-1")).metadata.deletionTimestamp).toBeUndefined()
      expect(yield* isThere(jobs, "agent-job-migration-1", taskNamespace)).toBe(true)
      yield* end("migration-1")
      reconcile("agent-job-samples")
      yield* until("the task's end", isThere(agentTasks, "migration-1", taskNamespace), (there) => !there)
      yield* becomes("agent-job-samples", "ReconciliationSucceeded")
    }))

  it.effect("makes an old apply anew, which runs again, when its Kustomization is renamed, unless that had `prune: false` before", () =>
    Effect.gen(function*() {
      const kubernetes = yield* Kubernetes
      const { publish, write } = yield* Flux
      const { spec } = yield* kubernetes.get(kustomizations, { name: "agent-job-samples", namespace: fluxNamespace })
      const create = (name: string, prune: boolean) =>
        kubernetes.create(kustomizations, {
          metadata: { name, namespace: fluxNamespace },
          spec: { ...(spec as object), path: "./flux/moved", prune, wait: false }
        }).pipe(Effect.andThen(becomes(name, "ReconciliationSucceeded")))
      const rename = Effect.fnUntraced(function*(from: string, to: string, prune: boolean) {
        yield* kubernetes.delete(kustomizations, { name: from, namespace: fluxNamespace })
        yield* until(`the end of ${from}`, isThere(kustomizations, from, fluxNamespace), (there) => !there)
        yield* create(to, prune)
      })
      write("flux/moved/task.yaml", applyOf("moved"))
      yield* publish
      yield* create("first", true)
      yield* run("moved")
      yield* end("moved")
      yield* rename("first", "second", false)
      expect((yield* task("moved")).status.claim).toBeUndefined()
      yield* run("moved")
      yield* end("moved")
      yield* rename("second", "third", true)
      expect((yield* task("moved")).status.phase).toBe("Succeeded")
    }))

  it.effect("applies the approvals that are committed in the sample git-approval, each as its AgentTask, and nothing else from there", () =>
    Effect.gen(function*() {
      const { bootstrap, publish, read, write } = yield* Flux
      const [sha256, approval] = ["1".repeat(64), read("kustomize/samples/git-approval/approval.yaml")]
      write("approvals/README.md", "One file for each approved plan.\n")
      bootstrap("kustomize/samples/git-approval")
      yield* becomes("network-approvals", "ReconciliationSucceeded", yield* publish) // before the first approval
      write("approvals/network-3.yaml", approval.replace("0".repeat(64), sha256))
      yield* becomes("network-approvals", "ReconciliationSucceeded", yield* publish)
      expect((yield* task("network-apply-1")).spec).toMatchObject({ stage: "apply", source: { savedPlan: { sha256 } } })
      write(
        "approvals/other.yaml",
        JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "other", namespace: taskNamespace }, data: {} })
      )
      yield* publish
      expect((yield* becomes("network-approvals", "ReconciliationFailed")).message).toContain(
        `cannot patch resource "configmaps" in API group "" in the namespace "${taskNamespace}"`
      )
    }))

  it.effect("goes on from Git to an OCI artifact, and to a server elsewhere once no apply needs the one that is here", () =>
    Effect.gen(function*() {
      const { bootstrap, publish } = yield* Flux
      yield* createTask("of-the-server", "apply")
      yield* run("of-the-server")
      yield* until(
        "the guard",
        Effect.sync(() => refused(["delete", "namespace", taskNamespace, "--dry-run=server"])),
        (_) => _.includes("of-the-server")
      ) // the guard knows the CRD within half a minute
      bootstrap("flux/clusters/production")
      const revision = yield* publish
      expect((yield* becomes("agent-job", "PruneFailed")).message).toContain(
        "the apply of AgentTask of-the-server in namespace agent-job-tasks is running and needs it: wait until that is over"
      )
      expect(yield* isThere(statefulSets, "agent-job-server", productNamespace)).toBe(true)
      yield* end("of-the-server")
      reconcile("agent-job")
      yield* becomes("agent-job", "ReconciliationSucceeded", revision)
      expect(yield* isThere(statefulSets, "agent-job-server", productNamespace)).toBe(false)
      expect(yield* image).toBe("registry.example.com/mirror/agent-job:0.1.0")
    }))

  it.effect("leaves the namespaces, and with them every state, when their component leaves an overlay", () =>
    Effect.gen(function*() {
      const { publish, read, write } = yield* Flux
      const [file, listed] = ["kustomize/overlays/agent/kustomization.yaml", "  - ../../components/namespaces\n"]
      expect(read(file)).toContain(listed)
      write(file, read(file).replace(listed, ""))
      yield* becomes("agent-job", "ReconciliationSucceeded", yield* publish)
      yield* namespacesStay
    }))

  it.effect("removes the platform, but not what a running apply needs until it is over, and never the namespaces", () =>
    Effect.gen(function*() {
      const kubernetes = yield* Kubernetes
      yield* createTask("of-somebody", "apply")
      yield* run("of-somebody")
      yield* kubernetes.delete(kustomizations, { name: "agent-job", namespace: fluxNamespace })
      yield* until("the controller's end", isThere(deployments, controllerPlace.name, productNamespace), (there) => !there)
      expect(yield* isThere(serviceAccounts, "agent-job-task", taskNamespace)).toBe(true)
      expect(yield* isThere(roleBindings, "agent-job-task", taskNamespace)).toBe(true)
      expect(yield* isThere(jobs, "agent-job-of-somebody", taskNamespace)).toBe(true)
      expect((yield* task("of-somebody")).status.phase).toBe("Running")
      yield* end("of-somebody")
      yield* until("the removal", isThere(kustomizations, "agent-job", fluxNamespace), (there) => !there)
      expect(yield* isThere(serviceAccounts, "agent-job-task", taskNamespace)).toBe(false)
      expect((yield* task("of-somebody")).status.phase).toBe("Succeeded")
      yield* namespacesStay
    }))

  it.effect("never removes the CRD: not with its Kustomization, not with one that has everything, and by hand only for who insists", () =>
    Effect.gen(function*() {
      const kubernetes = yield* Kubernetes
      const { spec } = yield* kubernetes.get(kustomizations, { name: "agent-job-crds", namespace: fluxNamespace })
      yield* kubernetes.create(kustomizations, {
        metadata: { name: "everything", namespace: fluxNamespace },
        spec: { ...(spec as object), path: "./kustomize/base", prune: true, wait: false }
      })
      yield* becomes("everything", "ReconciliationSucceeded")
      for (const name of ["everything", "agent-job-crds"]) {
        yield* kubernetes.delete(kustomizations, { name, namespace: fluxNamespace })
        yield* until(`the end of ${name}`, isThere(kustomizations, name, fluxNamespace), (there) => !there)
      }
      yield* until("the controller's end", isThere(deployments, controllerPlace.name, productNamespace), (there) => !there)
      expect((yield* kubernetes.get(definitions, { name: crdName })).metadata.deletionTimestamp).toBeUndefined()
      expect((yield* task("of-somebody")).status.phase).toBe("Succeeded")
      expect(refused(["delete", "crd", crdName])).toContain("every AgentTask would be deleted with it")
      kubectl(["annotate", "crd", crdName, "scalr.io/delete-all-tasks=true"])
      kubectl(["delete", "crd", crdName])
    }))
})
