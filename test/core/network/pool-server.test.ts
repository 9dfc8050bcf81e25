import { expect, it } from "@effect/vitest"
import { otherServerNamespace, serverTargets } from "../../../src/core/network/pool-server.ts"
import { configOf } from "../configs.ts"

const proxy = { global: { proxy: { httpsProxy: "http://proxy.example.com:3128" } } }
const plainProxy = { global: { extraEnv: { http_proxy: "http://proxy.example.com:3128" } } }
const other = { global: { extraEnv: { LOG_LEVEL: "debug" } } }
const unknown = { global: { extraEnvFrom: [{ secretRef: { name: "proxy" } }] } }

it.each([
  { url: "https://server.example.com/base", given: "nothing else", is: ["server.example.com", 443] },
  { url: "http://server.example.com", given: "nothing else", is: ["server.example.com", 80] },
  { url: "http://agent-job-server.agent-job.svc:8080", given: "nothing else", is: ["agent-job-server.agent-job.svc", 8080] },
  { url: "http://[fd00::1]:8080", given: "nothing else", is: ["fd00::1", 8080] },
  { url: "https://server.example.com", given: "another variable", more: other, is: ["server.example.com", 443] },
  { url: "https://server.example.com", given: "a proxy", more: proxy, is: undefined },
  { url: "http://server.example.com", given: "a proxy for http alone", more: plainProxy, is: undefined },
  { url: "https://server.example.com", given: "variables of a Secret", more: unknown, is: undefined },
  { url: "https://agent-job-server.theirs.svc", given: "a proxy", more: proxy, is: ["agent-job-server.theirs.svc", 443] },
  { url: "http://server.theirs:8080", given: "a proxy", more: proxy, is: ["server.theirs", 8080] },
  { url: "https://example.com", given: "a proxy", more: proxy, is: undefined },
  { url: "https://server", given: "variables of a Secret", more: unknown, is: ["server", 443] }
])("a worker connects to the server of $url, with $given, at $is", ({ is, more = {}, url }) => {
  const [target, ...others] = serverTargets(configOf({ agent: { token: "t", url }, ...more }))
  expect([target && [target.address, target.port], others]).toEqual([is, []])
})

it("a worker connects to no server where there is none", () => expect(serverTargets(configOf())).toEqual([]))

it.each([
  { url: "http://agent-job-server.agent-job.svc:8080", is: undefined },
  { url: "http://agent-job-server.theirs.svc.cluster.local:8080", is: "theirs" },
  { url: "http://other-server.agent-job.svc:8080", is: undefined },
  { url: "https://agent-job-server.theirs.example.com", is: undefined }
])(
  "the server of $url is in another namespace than the controller: $is",
  ({ is, url }) => expect(otherServerNamespace(configOf({ agent: { token: "t", url } }))).toBe(is)
)
