import { expect, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Schema, Stream } from "effect"
import { HttpClient, HttpClientRequest, UrlParams } from "effect/http"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { Credentials } from "../../src/kubernetes/credentials.ts"
import type { KubernetesError } from "../../src/kubernetes/errors.ts"
import { configMaps, decoding, jobs, leases, pods, secrets } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { denyingPolicy } from "./denying-policy.ts"
import { Cluster, RealCluster } from "./real-cluster.ts"
import { serviceAccounts } from "./service-accounts.ts"
import { silentWebhook } from "./silent-webhook.ts"

const clientWith = (change: (credentials: Credentials) => Credentials, through = (http: HttpClient.HttpClient) => http) =>
  Layer.build(Kubernetes.layer(Effect.map(fromKubeconfig(), change), through)).pipe(Effect.map((built) => Context.get(built, Kubernetes)))

/** Gives the API server a second for each request that it has a limit for. */
const hurried = HttpClient.mapRequest((request) =>
  Option.isSome(UrlParams.getFirst(request.urlParams, "timeout")) ? HttpClientRequest.setUrlParam(request, "timeout", "1s") : request
)

layer(RealCluster, { excludeTestServices: true })("a real API server", (it) => {
  const setup = Effect.gen(function*() {
    const { namespace, things } = yield* Cluster
    return { kubernetes: yield* Kubernetes, namespace, things, at: (name: string) => ({ namespace, name }) }
  })

  it.effect("creates once, reads, and deletes", () =>
    Effect.gen(function*() {
      const { at, kubernetes } = yield* setup
      const made = yield* kubernetes.create(configMaps, { metadata: at("once"), data: { key: "value" } })
      const typed = decoding(configMaps, Schema.Struct({ data: Schema.Record(Schema.String, Schema.String) }))
      expect(yield* kubernetes.get(typed, at("once"))).toEqual({ data: { key: "value" } })
      expect((yield* Effect.flip(kubernetes.create(configMaps, { metadata: at("once") })))._tag).toBe("AlreadyExists")
      yield* kubernetes.delete(configMaps, at("once"), { uid: made.metadata.uid, resourceVersion: made.metadata.resourceVersion })
      expect((yield* Effect.flip(kubernetes.get(configMaps, at("once"))))._tag).toBe("NotFound")
      expect((yield* Effect.flip(kubernetes.delete(configMaps, at("once"))))._tag).toBe("NotFound")
    }))

  it.effect("tells an object that is not there from a kind, or a version of it, that is not served", () =>
    Effect.gen(function*() {
      const { at, kubernetes, things } = yield* setup
      const isKindServed = (kind: typeof things) =>
        kubernetes.get(kind, at("none")).pipe(
          Effect.as(undefined),
          Effect.catchTag("NotFound", ({ isKindServed }) => Effect.succeed(isKindServed))
        )
      expect([
        yield* isKindServed(things),
        yield* isKindServed({ ...things, apiVersion: things.apiVersion.replace(/[^/]*$/u, "v9") }),
        yield* isKindServed({ ...things, plural: "nothings" }),
        yield* isKindServed({ ...things, apiVersion: "example.invalid/v1" })
      ]).toEqual([true, false, false, false])
    }))

  it.effect("applies fields of its own, and takes over those of others", () =>
    Effect.gen(function*() {
      const { at, kubernetes } = yield* setup
      yield* kubernetes.create(configMaps, { metadata: at("shared"), data: { key: "theirs" } })
      expect(yield* kubernetes.apply(configMaps, { metadata: at("shared"), data: { key: "ours" } })).toMatchObject({
        data: { key: "ours" }
      })
    }))

  it.effect("refuses every write that is meant for an object of another UID, and creates nothing", () =>
    Effect.gen(function*() {
      const { at, kubernetes, things } = yield* setup
      const gone = yield* kubernetes.create(things, { metadata: at("reborn"), spec: { size: 1 } })
      const guarded = { metadata: { ...at("reborn"), uid: gone.metadata.uid }, spec: { size: 2 } }
      yield* kubernetes.delete(things, at("reborn"), { uid: gone.metadata.uid })
      expect((yield* Effect.flip(kubernetes.apply(things, guarded)))._tag).toBe("NotFound")
      expect((yield* Effect.flip(kubernetes.get(things, at("reborn"))))._tag).toBe("NotFound")
      const other = yield* kubernetes.create(things, { metadata: at("reborn"), spec: { size: 1 } })
      const stale = { metadata: { ...at("reborn"), uid: gone.metadata.uid, resourceVersion: other.metadata.resourceVersion } }
      for (
        const write of [
          kubernetes.apply(things, guarded),
          kubernetes.update(things, stale),
          kubernetes.updateStatus(things, { ...stale, status: { phase: "Lost" } }),
          kubernetes.delete(things, at("reborn"), { uid: gone.metadata.uid })
        ]
      ) expect((yield* Effect.flip<unknown, { readonly _tag: string }, never>(write))._tag).toBe("NotFound")
      expect((yield* kubernetes.get(things, at("reborn"))).metadata).toEqual(other.metadata)
    }))

  it.effect("lets one of two writers of the same version win", () =>
    Effect.gen(function*() {
      const { at, kubernetes, things } = yield* setup
      const made = yield* kubernetes.create(things, { metadata: at("raced"), spec: { size: 1 } })
      const claimed = yield* kubernetes.updateStatus(things, { ...made, status: { phase: "Running", note: "first" } })
      expect(claimed).toMatchObject({ spec: { size: 1 }, status: { phase: "Running" } })
      expect((yield* Effect.flip(kubernetes.updateStatus(things, { ...made, status: { note: "second" } })))._tag).toBe("Conflict")
      expect((yield* Effect.flip(kubernetes.update(things, { ...made, spec: { size: 2 } })))._tag).toBe("Conflict")
      const { resourceVersion } = made.metadata
      expect((yield* Effect.flip(kubernetes.apply(things, { metadata: { ...at("raced"), resourceVersion }, spec: { size: 2 } })))._tag)
        .toBe("Conflict")
      expect((yield* Effect.flip(kubernetes.delete(things, at("raced"), { resourceVersion })))._tag).toBe("Conflict")
      expect((yield* kubernetes.get(things, at("raced")))["status"]).toEqual({ phase: "Running", note: "first" })
    }))

  it.effect("keeps a Job that has made a Pod from who deletes it as it was before", () =>
    Effect.gen(function*() {
      const { at, kubernetes } = yield* setup
      const template = { spec: { restartPolicy: "Never", containers: [{ name: "worker", image: "none" }] } }
      const { metadata: { resourceVersion, uid } } = yield* kubernetes.create(jobs, { metadata: at("with-a-pod"), spec: { template } })
      const job = kubernetes.get(
        decoding(jobs, Schema.Struct({ status: Schema.Struct({ active: Schema.optionalKey(Schema.Int) }) })),
        at("with-a-pod")
      )
      yield* job.pipe(Effect.repeat({ until: ({ status }) => status.active === 1 }), Effect.timeout("30 seconds"))
      expect((yield* Effect.flip(kubernetes.delete(jobs, at("with-a-pod"), { uid, resourceVersion })))._tag).toBe("Conflict")
      yield* kubernetes.delete(jobs, at("with-a-pod"), { uid })
    }))

  it.effect("names the fields that break a schema or a rule", () =>
    Effect.gen(function*() {
      const { at, kubernetes, things } = yield* setup
      const schema = yield* Effect.flip(kubernetes.create(things, { metadata: at("invalid"), spec: { size: 11, name: 5 } }))
      expect(schema._tag === "Invalid" && schema.causes.map(({ field }) => field).sort()).toEqual(["spec.name", "spec.size"])
      const rule = yield* Effect.flip(kubernetes.create(things, { metadata: at("invalid"), spec: { size: 3 } }))
      expect(rule.message).toMatch(/^Cannot create Thing .*: spec: .*three is taken; correct the named fields\.$/u)
    }))

  it.effect("takes a denial by a policy without a reason for what it is, and a `test` that does not hold for another thing", () =>
    Effect.gen(function*() {
      const { at, kubernetes, namespace } = yield* setup
      const metadata = at("denied")
      yield* kubernetes.create(secrets, { metadata })
      yield* denyingPolicy(namespace, ["denied"])
      const patch = (value: string) =>
        kubernetes.patch(secrets, metadata, [{ op: "test", path: "/metadata/name", value }, { op: "add", path: "/data", value: { a: "" } }])
      const writes = [kubernetes.create(leases, { metadata }), kubernetes.apply(leases, { metadata }), patch("denied"), patch("another's")]
      const errors = yield* Effect.forEach(writes, (write) => Effect.flip<unknown, KubernetesError, never>(write))
      expect(errors.map(({ _tag }) => _tag)).toEqual(["Forbidden", "Forbidden", "Forbidden", "Invalid"])
      expect(errors[0]?.message).toMatch(/^Cannot create Lease \S+: leases\S+ "denied" is forbidden: .*not on Fridays; grant it/u)
    }).pipe(Effect.scoped))

  it.effect("tells who may not from who is not known", () =>
    Effect.gen(function*() {
      const { at, namespace } = yield* setup
      const nobody = yield* clientWith((credentials) => ({
        ...credentials,
        headers: Effect.map(credentials.headers, (headers) => ({ ...headers, "impersonate-user": "nobody" }))
      }))
      const forbidden = yield* Effect.flip(nobody.get(pods, at("any")))
      expect([forbidden._tag, forbidden.message]).toEqual([
        "Forbidden",
        expect.stringContaining(`Cannot get Pod ${namespace}/any: pods "any" is forbidden: User "nobody" cannot get`)
      ])
      const stranger = yield* clientWith(({ tls: { ca }, ...credentials }) => ({
        ...credentials,
        tls: ca === undefined ? {} : { ca },
        headers: Effect.succeed({ authorization: "Bearer unknown" })
      }))
      expect((yield* Effect.flip(stranger.get(pods, at("any"))))._tag).toBe("Unauthorized")
    }))

  it.effect("has an answer to most writes for which the API server waits for a webhook in vain, of whatever kind", () =>
    Effect.gen(function*() {
      const { at, kubernetes, namespace, things } = yield* setup
      const { metadata } = yield* kubernetes.create(configMaps, { metadata: at("awaited") })
      const thing = yield* kubernetes.create(things, { metadata: at("awaited"), spec: { size: 1 } })
      const impatient = yield* clientWith((_) => _, hurried)
      yield* silentWebhook(impatient, namespace, ["things/status"])
      for (
        const write of [
          impatient.create(configMaps, { metadata: at("unborn") }),
          impatient.apply(configMaps, { metadata: at("awaited"), data: { key: "value" } }),
          impatient.update(configMaps, { metadata, data: { key: "value" } }),
          impatient.updateStatus(things, { ...thing, status: { phase: "New" } }),
          impatient.delete(configMaps, at("awaited"))
        ]
      ) {
        const failed = Effect.flip<unknown, KubernetesError, never>(write)
        const isAnswered = (error: KubernetesError) => error._tag === "Unreachable" && error.answered === true
        expect(yield* Effect.repeat(failed, { until: isAnswered, times: 9 })).toMatchObject({ answered: true }) // about one in eight ends with the connection
      }
    }))

  it.effect("asks the right place for a log", () =>
    Effect.gen(function*() {
      const { at, kubernetes } = yield* setup
      yield* kubernetes.create(serviceAccounts, { metadata: at("tester") })
      yield* kubernetes.create(pods, {
        metadata: at("gated"),
        spec: {
          serviceAccountName: "tester",
          schedulingGates: [{ name: "agent-job.io/test" }],
          containers: [{ name: "main", image: "none" }]
        }
      })
      const log = (name: string, container: string) =>
        Stream.mkString(Stream.decodeText(kubernetes.logs(at(name), { container, follow: true })))
      expect((yield* Effect.flip(log("missing", "main")))._tag).toBe("NotFound")
      expect(yield* Effect.flip(log("gated", "other"))).toMatchObject({
        _tag: "Rejected",
        code: 400,
        detail: expect.stringContaining("container other is not valid")
      })
      expect(yield* log("gated", "main")).toBe("")
    }))

  it.effect("lists page by page, and selects", () =>
    Effect.gen(function*() {
      const { at, kubernetes, namespace } = yield* setup
      const names = ["p1", "p2", "p3", "p4", "p5"]
      yield* Effect.forEach(names, (name) =>
        kubernetes.create(configMaps, { metadata: { ...at(name), labels: { page: name === "p5" ? "no" : "yes" } } }))
      const first = yield* kubernetes.list(configMaps, { namespace, labelSelector: "page", limit: 2 })
      expect(first.continue).toBeDefined()
      const all = yield* Stream.runCollect(kubernetes.listAll(configMaps, { namespace, labelSelector: "page", limit: 2 }))
      expect(all.map(({ metadata }) =>
        metadata.name
      )).toEqual(names)
      expect((yield* kubernetes.list(configMaps, { namespace, labelSelector: "page=yes", fieldSelector: "metadata.name!=p1" })).items)
        .toHaveLength(3)
    }))

  it.effect("watches: changes in order, then a bookmark, then the end", () =>
    Effect.gen(function*() {
      const { at, kubernetes, namespace } = yield* setup
      const { resourceVersion } = yield* kubernetes.list(configMaps, { namespace, limit: 1 })
      const watch = kubernetes.watch(configMaps, { namespace, resourceVersion, labelSelector: "watched", timeoutSeconds: 5 })
      const seen = yield* Effect.forkChild(Stream.runCollect(watch))
      const metadata = { ...at("watched"), labels: { watched: "" } }
      yield* kubernetes.create(configMaps, { metadata })
      yield* kubernetes.apply(configMaps, { metadata, data: { key: "value" } })
      yield* kubernetes.delete(configMaps, at("watched"))
      const types = (yield* Fiber.join(seen)).map(({ type }) => type)
      expect(types.slice(0, 4)).toEqual(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"])
    }))

  it.effect("says that a version is too old to watch from", () =>
    Effect.gen(function*() {
      const { kubernetes, namespace, things } = yield* setup
      expect((yield* Effect.flip(Stream.runDrain(kubernetes.watch(things, { namespace, resourceVersion: "1" }))))._tag).toBe("Gone")
    }))
})
