// Which values a running controller takes over, and which make it end so that it is started anew.
import { describe, expect, it } from "@effect/vitest"
import { reload } from "../../../src/core/resolve/reload.ts"
import { configOf } from "../configs.ts"

const before = { agent: { url: "https://a.example.com", tokenExistingSecret: { name: "token" } } }
const after = (values: { readonly agent?: object; readonly [section: string]: object | string | boolean | undefined }) => ({
  ...values,
  agent: { ...before.agent, ...values.agent }
})

describe("new values", () => {
  it.each([
    { given: "limits", values: { task: { limits: { total: 3 } } } },
    { given: "a timeout", values: { task: { startupTimeoutSeconds: 20 } } },
    { given: "the length of the history", values: { task: { historyPerWorkspace: 1 } } },
    { given: "the keys that tasks may set", values: { task: { allowedKeys: ["example.com/"] } } },
    { given: "an identity of tasks", values: { task: { identities: [{ name: "a", workspaces: ["*"] }] } } },
    { given: "an image", values: { agent: { image: { tag: "2" } } } },
    { given: "resources", values: { task: { runner: { resources: { limits: { cpu: 1 } } } } } },
    { given: "a variable of every container", values: { global: { extraEnv: { A: "1" } } } },
    { given: "pull secrets", values: { global: { imagePullSecrets: [{ name: "a" }] } } },
    { given: "a cache", values: { persistence: { enabled: true } } },
    { given: "another directory of tasks", values: { agent: { dataDir: "/data" } } },
    { given: "the network of tasks, which a proof of isolation is of", values: { task: { networkPolicy: { denyIngress: true } } } },
    { given: "the NetworkPolicy, which it is of too", values: { restrictMetadataService: true } }
  ])("are taken over for $given", ({ values }) => expect(reload(configOf(before), configOf(after(values)))).toBe("TakeOver"))

  it.each([
    { given: "another server", values: { agent: { url: "https://b.example.com" } } },
    { given: "no server any more", values: { agent: { url: "" } } },
    { given: "another Secret of the token", values: { agent: { tokenExistingSecret: { name: "other" } } } },
    { given: "another namespace of tasks", values: { task: { namespace: "elsewhere" } } },
    { given: "another full name", values: { fullnameOverride: "blue" } },
    { given: "another namespace of tasks and limits", values: { task: { namespace: "elsewhere", limits: { total: 1 } } } }
  ])("end the process for $given", ({ values }) => expect(reload(configOf(before), configOf(after(values)))).toBe("StartAgain"))

  it.each([
    { given: "nothing", values: {} },
    { given: "the controller's own Pod", values: { controller: { resources: { limits: { cpu: 2 } }, podAnnotations: { a: "b" } } } },
    { given: "the controller's service account", values: { serviceAccount: { annotations: { a: "b" } } } },
    { given: "the admission policies", values: { admissionPolicies: { enabled: true } } }
  ])(
    "change nothing in the process for $given",
    ({ values }) => expect(reload(configOf(before), configOf(after(values)))).toBe("Keep")
  )
})
