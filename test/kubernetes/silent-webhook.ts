// A webhook for some objects of one namespace that takes requests and answers none, for longer than a client waits.
// The API server asks it when the effect completes, and no more once the scope is closed.
// Used by test/kubernetes/client.cluster.test.ts.
import { Effect, Schedule } from "effect"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { configMaps, type Kind, namespaces } from "../../src/kubernetes/kinds.ts"
import { authority } from "../http/certificates.ts"
import { temporaryFolder } from "../temporary-folder.ts"

const webhooks: Kind = {
  ...namespaces,
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingWebhookConfiguration",
  plural: "validatingwebhookconfigurations"
}

/** Returns the address of a server that takes requests and never answers, and the certificate to know it by. */
const silence = Effect.gen(function*() {
  const ca = authority(yield* temporaryFolder("silent-webhook"))
  const server = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer(ca.sign("silent"), () => undefined)
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.promise(async () => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      })
  )
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return { url, caBundle: Buffer.from(ca.cert).toString("base64") }
})

/** `impatient` is a client whose writes may not take long, by which this finds out that the webhook is asked. */
export const silentWebhook = Effect.fnUntraced(function*(
  impatient: Kubernetes["Service"],
  namespace: string,
  resources: ReadonlyArray<string>
) {
  const kubernetes = yield* Kubernetes
  const name = `silent.${namespace}`
  const webhook = {
    name: `${name}.example.com`,
    admissionReviewVersions: ["v1"],
    clientConfig: yield* silence,
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
    rules: [{ apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["configmaps", ...resources] }],
    sideEffects: "None",
    timeoutSeconds: 30
  }
  yield* Effect.acquireRelease(
    kubernetes.create(webhooks, { metadata: { name }, webhooks: [webhook] }),
    () => Effect.ignore(kubernetes.delete(webhooks, { name }))
  )
  yield* impatient.apply(configMaps, { metadata: { name, namespace } }).pipe(
    Effect.match({ onFailure: () => true, onSuccess: () => false }),
    Effect.repeat({ until: (isAsked) => isAsked, schedule: Schedule.spaced("100 millis"), times: 200 })
  )
})
