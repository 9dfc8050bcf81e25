// What Kubernetes does with the server's Pod when its manifest changes. None of these Pods can run, so none gets ready.
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { manifestYaml } from "../../src/cli/terminal/manifest-yaml.ts"
import { server } from "../../src/core/manifest/installation/server.ts"
import { configOf } from "../core/configs.ts"
import { begin, end, kubectl, namespaces } from "./api-server.ts"

beforeAll(begin)
afterAll(end)

const apply = (manifests: string): Promise<string> => kubectl(["apply", "--server-side", "-f", "-"], manifests)

const installationIn = (namespace: string) => {
  const serverOf = (tag: string): string => server(configOf({ agent: { image: { tag } } }, { namespace })).map(manifestYaml).join("---\n")
  const pods = async (column: string): Promise<ReadonlyArray<string>> =>
    (await kubectl(["get", "pods", "-n", namespace, "-o", `jsonpath={.items[*]${column}}`])).split(" ")
  return {
    serverOf,
    run: (command: string): Promise<string> => kubectl(["-n", namespace, ...command.split(" ")]),
    uids: () => pods(".metadata.uid"),
    untilOnly: (tag: string): Promise<void> =>
      expect.poll(() => pods(".spec.containers[*].image"), { interval: 100, timeout: 300_000 }).toEqual([
        expect.stringMatching(`:${tag}$`)
      ])
  }
}

const [first = "", second = ""] = namespaces
const [broken, installed] = [installationIn(first), installationIn(second)]

it("a server Pod that never gets ready is replaced by the one of a corrected manifest", async () => {
  await apply(broken.serverOf("mistyped"))
  await broken.untilOnly("mistyped")
  await apply(broken.serverOf("corrected"))
  await broken.untilOnly("corrected")
})

it("a server of OrderedReady, as installations had it, keeps its Pod through the command of the changelog", async () => {
  const [, command = ""] = /`kubectl (delete statefulset agent-job-server \S+)`/u.exec(readFileSync("CHANGELOG.md", "utf8")) ?? []
  const wanted = installed.serverOf("0.1.0")
  await apply(wanted.replace("podManagementPolicy: Parallel", "podManagementPolicy: OrderedReady"))
  await installed.untilOnly("0.1.0")
  const before = await installed.uids()
  await expect(apply(wanted)).rejects.toThrow(/podManagementPolicy.*immutable/u)
  await installed.run(command)
  await apply(wanted)
  await installed.run("wait --for=jsonpath={.status.updatedReplicas}=1 --timeout=300s statefulset/agent-job-server")
  expect(await installed.uids()).toEqual(before)
})
