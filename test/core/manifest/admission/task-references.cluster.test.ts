// What an AgentTask may name, whoever makes it: a real API server refuses all that the values do not allow.
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { ownerReference } from "../../../../src/core/manifest/owner-reference.ts"
import { templateRefusal } from "../../../../src/core/task/template-keys.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import { agentTasks } from "../../../../src/kubernetes/kinds.ts"
import { taskOf } from "../../configs.ts"
import { createTask, Installation, installation, tasks, together } from "../installed.ts"
import { policy, refusal, untilHeld } from "./begun-task.ts"

layer(installation({ admissionPolicies: { enabled: true } }), { timeout: 300_000, excludeTestServices: true })("the API server", (it) => {
  describe("lets an AgentTask name", () => {
    it.effect("no token of a pool's task, whatever Secrets it may name", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace }, controller } = yield* Installation
        const names = (secret: string) => ({
          variables: [{ name: "fine", value: "1" }, { name: "t", valueFrom: { secretKeyRef: { name: secret, key: "token" } } }]
        })
        const object = (name: string, secret: string) => ({
          metadata: { name, namespace },
          spec: { workspace: "w", stage: "plan", source: { inline: { "main.tf": "" } }, ...names(secret) }
        })
        yield* untilHeld(refusal(controller.create(agentTasks, object("thief", "run-k3v9x2-apply-token"))))
        for (const [index, secret] of ["run-k3v9x2-apply-token", "run-k3v9x2-plan-2-token"].entries()) {
          for (const client of [controller, yield* Kubernetes]) {
            expect(yield* refusal(client.create(agentTasks, object(`thief-${index}`, secret)))).toMatch(policy)
          }
        }
        yield* createTask("honest", names("run-token") as never)
      }))

    it.effect("the Secret of a pool only where the controller makes it", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace }, controller } = yield* Installation
        const object = (name: string) => ({
          metadata: { name, namespace },
          spec: {
            workspace: "w",
            stage: "plan",
            source: { pool: { archiveSha256: "0".repeat(64) } },
            pool: { url: "https://evil.example.com", runId: "run-1", tokenSecret: { name: "database" } }
          }
        })
        expect(yield* refusal(Effect.flatMap(Kubernetes, (_) => _.create(agentTasks, object("by-hand"))))).toMatch(policy)
        yield* controller.create(agentTasks, object("by-controller"))
      }))

    it.effect("another one as its owner only where the controller makes it, as an attempt, and keeps it when others change it", () =>
      Effect.gen(function*() {
        const { config: { taskNamespace: namespace }, controller } = yield* Installation
        const admin = yield* Kubernetes
        const { spec } = yield* createTask("followed")
        const owner = { ...ownerReference(yield* admin.get(tasks, { name: "followed", namespace })), controller: true }
        const object = (name: string, ownerReferences: ReadonlyArray<object> = [owner]) => ({
          metadata: { name, namespace, ownerReferences },
          spec
        })
        yield* createTask("plain")
        const plain = yield* admin.get(agentTasks, { name: "plain", namespace })
        yield* untilHeld(refusal(admin.create(agentTasks, object("followed-9"))))
        const attempts = {
          "an attempt by hand": admin.create(agentTasks, object("followed-2")),
          "one of another group": admin.create(agentTasks, object("followed-2", [{ ...owner, apiVersion: "example.com/v1" }])),
          "a task that is made one later": admin.update(agentTasks, { ...plain, metadata: { ...plain.metadata, ownerReferences: [owner] } })
        }
        for (const [given, attempt] of Object.entries(attempts)) {
          expect([given, yield* refusal(attempt)]).toEqual([given, expect.stringMatching(policy)])
        }
        const made = yield* controller.create(agentTasks, object("followed-2"))
        expect(
          yield* refusal(
            admin.update(agentTasks, {
              ...plain,
              metadata: { ...plain.metadata, ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "a", uid: "b" }] }
            })
          )
        ).toBe("it was taken")
        expect(
          yield* refusal(
            admin.update(agentTasks, {
              ...made,
              metadata: { ...made.metadata, labels: { "example.com/team": "a" } },
              spec: { ...spec, cancel: true }
            })
          )
        ).toBe("it was taken")
      }))
  })
})

layer(
  installation({
    admissionPolicies: { enabled: true, secrets: ["shared", "team-a-*"], configMaps: [], persistentVolumeClaims: ["state"] }
  }),
  { timeout: 300_000, excludeTestServices: true }
)("an AgentTask", (it) => {
  it.effect("names nothing but what the values allow", () =>
    Effect.gen(function*() {
      const secret = (name: string) => ({
        variables: [{ name: "fine", value: "1" }, { name: "v", valueFrom: { secretKeyRef: { name, key: "k" } } }]
      })
      const refused = {
        "another Secret": secret("database"),
        "a Secret whose name begins as an allowed one": secret("shared-2"),
        "the beginning of allowed names": secret("team-a"),
        "a ConfigMap": { source: { configMap: { name: "files" } } },
        "another claim": { jobTemplate: { volumeClaims: [{ claimName: "theirs", mountPath: "/s" }] } },
        "a claim for its plan": {
          source: { archive: { url: "https://example.com/a.tar.gz", sha256: "0".repeat(64) } },
          savePlan: { claimName: "theirs" }
        },
        "the claim of a plan": { stage: "apply" as const, source: { savedPlan: { claimName: "theirs", sha256: "0".repeat(64) } } }
      }
      yield* refusal(createTask("probe", secret("database") as never)).pipe(
        Effect.repeat({ until: (_) => policy.test(_), schedule: Schedule.spaced("100 millis"), times: 200 })
      )
      for (const [given, spec] of Object.entries(refused)) {
        expect([given, yield* refusal(createTask(given.toLowerCase().replaceAll(" ", "-"), spec as never))]).toEqual([
          given,
          expect.stringMatching(policy)
        ])
      }
      for (
        const [index, spec] of [secret("shared"), secret("team-a-database"), {
          jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: "/s" }] }
        }].entries()
      ) yield* createTask(`allowed-${index}`, spec as never)
    }))
})

layer(
  installation({ admissionPolicies: { enabled: true }, task: { allowedKeys: ["example.com/", "sidecar.istio.io/inject"] } }),
  { timeout: 300_000, excludeTestServices: true }
)("the template of an AgentTask", (it) => {
  const template = (jobTemplate: object) => ({ jobTemplate })
  const strange = {
    "one more volume of a sidecar": template({
      annotations: { "sidecar.istio.io/inject": "true", "sidecar.istio.io/userVolume": "[]" }
    }),
    "a network of its own": template({ annotations: { "k8s.v1.cni.cncf.io/networks": "other" } }),
    "a workspace of others": template({ labels: { "scalr.io/workspace": "production" } }),
    "a device": template({ runner: { resources: { limits: { cpu: "1", "smarter-devices/fuse": "1" } } } }),
    "a device that it asks for": template({ runner: { resources: { requests: { "nvidia.com/gpu": "1" } } } }),
    "several": template({ labels: { "z.io/c": "", "z.io/a": "", "z.io/b": "", "example.com/a": "" } })
  }

  it.effect("sets the keys that the values allow, and is refused in the controller's words for another one", () =>
    Effect.gen(function*() {
      const { config: { policy: { allowedKeys } } } = yield* Installation
      const probe = createTask("probe", strange["a network of its own"] as never)
      yield* untilHeld(Effect.provide(refusal(probe), yield* Effect.context<Kubernetes | Installation>()))
      for (const [given, spec] of Object.entries(strange)) {
        const told = templateRefusal(taskOf(spec), allowedKeys)
        expect([given, yield* refusal(createTask(given.replaceAll(" ", "-"), spec as never))]).toEqual([
          given,
          expect.stringContaining(`denied request: ${told?.replace(/\.$/u, "")}`)
        ])
      }
      const allowed = {
        labels: { team: "a", "example.com/team": "a" },
        annotations: { purpose: "b", "sidecar.istio.io/inject": "true" },
        nodeSelector: { "topology.kubernetes.io/zone": "a" },
        runner: { resources: { limits: { cpu: "2", "example.com/fuse": "1" }, requests: { memory: "1Gi" } } }
      }
      yield* createTask("allowed", template(allowed) as never)
      yield* createTask("plain")
    }))
})

layer(
  installation({
    admissionPolicies: { enabled: true },
    agent: {
      tokenExistingSecret: { name: "pool" },
      providerNetworkMirrors: [{
        url: "https://mirror.example.com/",
        include: ["example.com/*/*"],
        tokenSecret: { name: "mirror", key: "k" }
      }]
    },
    global: { imagePullSecrets: [{ name: "registry" }], tls: { clientCertSecret: { name: "certificate" } } },
    persistence: { enabled: true, persistentVolumeClaim: { claimName: "shared" } }
  }, together),
  { timeout: 300_000, excludeTestServices: true }
)("an AgentTask in the namespace of the controller", (it) => {
  const sha256 = "0".repeat(64)
  const archive = { archive: { url: "https://example.com/a.tar.gz", sha256 } }
  const secret = (name: string) => ({ variables: [{ name: "v", valueFrom: { secretKeyRef: { name, key: "k" } } }] })
  const ways = (claimName: string) => ({
    "a volume of": { jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: "/s" }, { claimName, mountPath: "/loot" }] } },
    "a plan for": { source: archive, savePlan: { claimName } },
    "a plan from": { stage: "apply", source: { savedPlan: { claimName, sha256 } } }
  })

  it.effect("names neither Secrets nor claims of the installation, though it may name any other", () =>
    Effect.gen(function*() {
      const attempts = {
        ...Object.fromEntries(
          ["registry", "certificate", "mirror", "pool", "agent-job-user-token", "agent-job-pool-token"].map((name) => [name, secret(name)])
        ),
        ...Object.fromEntries(
          ["shared", "agent-job-cache", "data-agent-job-server-0"].flatMap((claim) =>
            Object.entries(ways(claim)).map(([way, spec]) => [`${way} ${claim}`, spec])
          )
        )
      }
      const named = (name: string, spec: object) => refusal(createTask(name.replaceAll(" ", "-"), spec as never))
      yield* untilHeld(Effect.provide(named("probe", secret("registry")), yield* Effect.context<Kubernetes | Installation>()))
      for (const [given, spec] of Object.entries(attempts)) {
        expect([given, yield* named(given, spec)]).toEqual([
          given,
          expect.stringMatching(/ValidatingAdmissionPolicy.*that the installation has for itself/u)
        ])
      }
      for (const neighbour of ["registry-2", "certificates"]) expect(yield* named(neighbour, secret(neighbour))).toBe("it was taken")
      for (const [way, spec] of Object.entries(ways("shared-2"))) expect(yield* named(`${way} shared-2`, spec)).toBe("it was taken")
    }))
})
