// What people may do with AgentTasks once a real cluster has the component's roles, by the ClusterRole of Kubernetes that they have.
import { randomBytes } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { manifestYaml } from "../../../src/cli/terminal/manifest-yaml.ts"
import { aggregatedRoles } from "../../../src/generate/components/aggregated-roles.ts"
import { installationOf } from "../../../src/generate/files/installation.ts"
import { agentTaskResource } from "../../../src/schema/names.ts"
import { begin, end, kubectl, namespaces } from "../../kustomize/api-server.ts"

const namespace = namespaces[1] ?? ""
const roles = aggregatedRoles.objects?.(installationOf({})) ?? []
const people = ["view", "edit", "admin"].map((role) => ({ role, name: `${role}-${randomBytes(4).toString("hex")}` }))
const { group, plural: resource } = agentTaskResource

const may = async (user: string, verb: string, subresource?: string): Promise<boolean> => {
  const resourceAttributes = { namespace, verb, group, resource, ...(subresource !== undefined && { subresource }) }
  const review = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec: { user, resourceAttributes } }
  return await kubectl(["create", "-f", "-", "-o", "jsonpath={.status.allowed}"], manifestYaml(review)) === "true"
}

beforeAll(async () => {
  await begin()
  await kubectl(["apply", "--server-side", "-f", "-"], roles.map((_) => manifestYaml(_)).join("---\n"))
  for (const { name, role } of people) {
    await kubectl(["create", "rolebinding", name, `--clusterrole=${role}`, `--user=${name}`, "-n", namespace])
  }
  for (const { name, role } of people) {
    await vi.waitUntil(() => may(name, role === "view" ? "list" : "create"), { timeout: 300_000, interval: 100 })
  }
})

afterAll(async () => {
  await kubectl(["delete", "clusterrole", ...roles.map(({ metadata }) => metadata?.name ?? ""), "--ignore-not-found"])
  await end()
})

describe("an AgentTask in a namespace", () => {
  const seen = ["get", "list", "watch"]
  const verbs = [...seen, "create", "update", "patch", "delete", "deletecollection"]
  it.each([
    { role: "view", allowed: seen },
    { role: "edit", allowed: verbs },
    { role: "admin", allowed: verbs },
    { role: "none of them", allowed: [] }
  ])("is open to who has $role there for $allowed, and its status for nothing", async ({ allowed, role }) => {
    const user = people.find((_) => _.role === role)?.name ?? "nobody"
    const answers = await Promise.all(verbs.map(async (verb) => ({ verb, is: await may(user, verb) })))
    expect(answers.filter(({ is }) => is).map(({ verb }) => verb)).toEqual(allowed)
    expect(await Promise.all(["update", "patch"].map((verb) => may(user, verb, "status")))).toEqual([false, false])
  })
})
