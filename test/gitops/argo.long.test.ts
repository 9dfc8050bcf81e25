// The folder kustomize/argo-cd in the hands of the real Argo CD: a whole installation and its tasks, from the first sync to the removal.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { parse, stringify } from "yaml"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, deployments, jobs, namespaces } from "../../src/kubernetes/kinds.ts"
import { serviceAccounts } from "../kubernetes/service-accounts.ts"
import { applications, Argo, becomes, RealArgo, refresh, told } from "./argo.ts"
import { at, controllerPlace, crdName, definitions, isThere, kubectl, productNamespace, refused, statefulSets, until } from "./cluster.ts"
import { bring, end, run, statuses, task, taskNamespace } from "./tasks.ts"

const application = "agent-job"
const root = "installation/kustomization.yaml"
const tasksOf = (...files: ReadonlyArray<string>): string =>
  stringify({ resources: ["../kustomize/argo-cd/standalone", "../kustomize/argo-cd/samples", ...files] })
const applyOf = (name: string): string =>
  stringify({
    apiVersion: "scalr.io/v1",
    kind: "AgentTask",
    metadata: { name, namespace: taskNamespace, annotations: { "argocd.argoproj.io/sync-wave": "1" } },
    spec: { workspace: name, stage: "apply", source: { inline: { "main.tf": "" } } }
  })

layer(RealArgo, { excludeTestServices: true, timeout: "5 minutes" })("Argo CD", (it) => {
  it.effect("syncs in waves: CRD and guard, then the installation, and the tasks once that is healthy", () =>
    Effect.gen(function*() {
      const { commit, letPodsRun, url, write } = yield* Argo
      write(root, tasksOf())
      const revision = commit()
      const given = parse(readFileSync("kustomize/argo-cd/application.yaml", "utf8"))
      given.spec.source = { repoURL: url, targetRevision: "main", path: "installation" }
      given.spec.syncPolicy.retry.backoff = { duration: "1s", factor: 1 } // so that Argo CD retries what was refused before the test times out
      kubectl(["apply", "--server-side", "--validate=strict", "-f", "-"], stringify(given))
      yield* until("the controller", isThere(deployments, controllerPlace.name, productNamespace), (_) => _)
      expect(refused(["delete", "crd", crdName])).toContain("every AgentTask would be deleted with it")
      yield* until("its health", told(application), ({ health }) => health?.status === "Progressing")
      expect(yield* isThere(agentTasks, "greeting-1", taskNamespace)).toBe(false)
      yield* letPodsRun
      yield* until("the task", isThere(agentTasks, "greeting-1", taskNamespace), (_) => _)
      yield* bring("greeting-1", ...statuses.Succeeded)
      yield* becomes(application, "Synced", "Healthy", revision)
    }))

  it.effect("is Degraded by a task that failed, and says why", () =>
    Effect.gen(function*() {
      const { commit, write } = yield* Argo
      write("installation/failing.yaml", applyOf("failing"))
      write(root, tasksOf("failing.yaml"))
      commit()
      refresh(application)
      yield* until("the task", isThere(agentTasks, "failing", taskNamespace), (_) => _)
      yield* bring("failing", ...statuses.Failed)
      const { resources } = yield* becomes(application, "Synced", "Degraded")
      expect(resources?.find(({ name }) => name === "failing")?.health).toEqual({ status: "Degraded", message: "Done." })
    }))

  it.effect("heals what was changed by hand", () =>
    Effect.gen(function*() {
      kubectl(["-n", productNamespace, "scale", "deployment/agent-job-controller", "--replicas=0"])
      yield* until(
        "the replicas",
        Effect.flatMap(Kubernetes, (_) => _.get(deployments, controllerPlace)),
        (_) => at(_, "spec", "replicas") === 1
      )
    }))

  it.effect("leaves to an autoscaler what it has decided", () =>
    Effect.gen(function*() {
      const { commit, write } = yield* Argo
      kubectl([
        "-n",
        productNamespace,
        "patch",
        "deployment/agent-job-controller",
        "--field-manager=kube-controller-manager",
        "--patch={\"spec\":{\"replicas\":2}}"
      ])
      write("installation/failing.yaml", applyOf("failing-again"))
      const revision = commit()
      refresh(application)
      yield* until("the next task", isThere(agentTasks, "failing-again", taskNamespace), (_) => _)
      yield* bring("failing-again", ...statuses.Failed)
      yield* becomes(application, "Synced", "Degraded", revision)
      expect(at(yield* (yield* Kubernetes).get(deployments, controllerPlace), "spec", "replicas")).toBe(2)
    }))

  it.effect("prunes what left Git, but no task whose apply runs before that is over", () =>
    Effect.gen(function*() {
      const { commit, write } = yield* Argo
      write("installation/migration.yaml", applyOf("migration"))
      write(root, tasksOf("migration.yaml"))
      commit()
      refresh(application)
      yield* until("the failed task's end", isThere(agentTasks, "failing-again", taskNamespace), (there) => !there)
      yield* until("the task", isThere(agentTasks, "migration", taskNamespace), (_) => _)
      yield* run("migration")
      write(root, tasksOf())
      const revision = commit()
      refresh(application)
      yield* until("the commit", told(application), ({ sync }) => sync?.revision === revision)
      yield* until(
        "the refusal",
        Effect.map(
          (yield* Kubernetes).get(applications, { name: application, namespace: "argocd" }),
          (_) => JSON.stringify(at(_, "status", "operationState") ?? "")
        ),
        (_) => _.includes("its apply of workspace migration is running")
      )
      expect((yield* task("migration")).metadata.deletionTimestamp).toBeUndefined()
      expect(yield* isThere(jobs, "agent-job-migration", taskNamespace)).toBe(true)
      yield* end("migration")
      yield* until("the task's end", isThere(agentTasks, "migration", taskNamespace), (there) => !there)
      yield* becomes(application, "Synced", "Healthy", revision)
    }))

  it.effect("reports a commit that does not build, and leaves what runs as it is", () =>
    Effect.gen(function*() {
      const { commit, write } = yield* Argo
      write(root, tasksOf("missing.yaml"))
      commit()
      refresh(application)
      yield* until("the report", told(application), ({ conditions }) =>
        conditions?.some(({ message }) =>
          message.includes("missing.yaml")
        ) === true)
      expect(yield* isThere(deployments, controllerPlace.name, productNamespace)).toBe(true)
      write(root, tasksOf())
      const revision = commit()
      refresh(application)
      yield* becomes(application, "Synced", "Healthy", revision)
    }))

  it.effect("removes the installation, but not what a running apply needs until it is over, and never namespaces and CRD", () =>
    Effect.gen(function*() {
      const kubernetes = yield* Kubernetes
      kubectl(["apply", "-f", "-"], applyOf("of-somebody"))
      yield* run("of-somebody")
      yield* kubernetes.delete(applications, { name: application, namespace: "argocd" })
      yield* until("the controller's end", isThere(deployments, controllerPlace.name, productNamespace), (there) => !there)
      expect(yield* isThere(statefulSets, "agent-job-server", productNamespace)).toBe(true)
      expect(yield* isThere(serviceAccounts, "agent-job-task", taskNamespace)).toBe(true)
      yield* end("of-somebody")
      yield* until("the removal", isThere(applications, application, "argocd"), (there) => !there)
      expect(yield* isThere(statefulSets, "agent-job-server", productNamespace)).toBe(false)
      expect(yield* isThere(definitions, crdName)).toBe(true)
      expect((yield* task("of-somebody")).status.phase).toBe("Succeeded")
      for (const name of [productNamespace, taskNamespace]) {
        expect((yield* kubernetes.get(namespaces, { name })).metadata.deletionTimestamp).toBeUndefined()
      }
    }))

  it.effect("installs it on each cluster with the label of an ApplicationSet, and leaves it there when the label goes", () =>
    Effect.gen(function*() {
      const { url } = yield* Argo
      kubectl(
        ["apply", "-f", "-"],
        stringify({
          apiVersion: "v1",
          kind: "Secret",
          metadata: {
            name: "edge",
            namespace: "argocd",
            labels: { "argocd.argoproj.io/secret-type": "cluster", "agent-job": "standalone" }
          },
          stringData: { name: "arn:aws:eks:eu-west-1:111122223333:cluster/Edge", server: "https://kubernetes.default.svc", config: "{}" }
        })
      )
      const given = parse(readFileSync("kustomize/argo-cd/application-set.yaml", "utf8"))
      Object.assign(given.spec.template.spec.source, { repoURL: url, targetRevision: "main" })
      kubectl(["apply", "--server-side", "--validate=strict", "-f", "-"], stringify(given))
      const name = "agent-job-arn-aws-eks-eu-west-1-111122223333-cluster-edge"
      yield* until("its Application", isThere(applications, name, "argocd"), (_) => _)
      yield* becomes(name, "Synced", "Healthy")
      kubectl(["-n", "argocd", "label", "secret", "edge", "agent-job-"])
      yield* until("the end of its Application", isThere(applications, name, "argocd"), (there) => !there)
      expect(at(yield* (yield* Kubernetes).get(deployments, controllerPlace), "metadata", "deletionTimestamp")).toBeUndefined()
    }))
})
