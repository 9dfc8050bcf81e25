import { expect, layer } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Schedule, Schema } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { inCluster } from "../../src/kubernetes/in-cluster.ts"
import { decoding, pods, secrets } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { Cluster, RealCluster } from "./real-cluster.ts"
import { serviceAccounts } from "./service-accounts.ts"

const TokenSecret = decoding(secrets, Schema.Struct({ data: Schema.Struct({ token: Schema.String }) }))

layer(RealCluster, { excludeTestServices: true })("a real API server", (it) => {
  it.effect("knows a service account by the token in a directory", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Cluster
      const kubernetes = yield* Kubernetes
      yield* kubernetes.create(serviceAccounts, { metadata: { namespace, name: "mounted" } })
      const secret = {
        metadata: { namespace, name: "token", annotations: { "kubernetes.io/service-account.name": "mounted" } },
        type: "kubernetes.io/service-account-token"
      }
      yield* kubernetes.create(secrets, secret)
      const { data } = yield* kubernetes.get(TokenSecret, { namespace, name: "token" }).pipe(
        Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") })
      )
      const { server, tls } = yield* fromKubeconfig()
      const directory = yield* temporaryFolder("mounted")
      yield* Effect.promise(async () => {
        await writeFile(join(directory, "ca.crt"), tls.ca ?? "")
        await writeFile(join(directory, "token"), Buffer.from(data.token, "base64"))
        await writeFile(join(directory, "namespace"), namespace)
      })
      const { hostname, port } = new URL(server)
      const variables = ConfigProvider.fromUnknown({ KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port || "443" })
      const mounted = Context.get(
        yield* Layer.build(Kubernetes.layer(Effect.provide(inCluster({ directory }), ConfigProvider.layer(variables)))),
        Kubernetes
      )
      expect(mounted.namespace).toBe(namespace)
      const error = yield* Effect.flip(mounted.get(pods, { namespace, name: "any" }))
      expect([error._tag, error.message]).toEqual(["Forbidden", expect.stringContaining(`system:serviceaccount:${namespace}:mounted`)])
    }))
})
