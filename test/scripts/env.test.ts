// What `make env` has a shell export, so that its programs reach the server, and reach it alone.
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

/** Returns the variables of a shell that has evaluated what scripts/env prints, for a server at this address of this machine. */
const exported = (proxies: Readonly<Record<string, string>>) => {
  const { program, run } = checkout("scripts", "test/cluster/env.bash")
  program("kubectl", `case "$*" in *clusterIP*) printf 127.0.0.2 ;; *data.token*) printf dA== ;; esac`)
  const listening = `const server = require("node:net").createServer().listen(8080, "127.0.0.2", () => console.log("listens"))`
  const { said } = run(
    `exec 3< <(exec "$NODE" --eval '${listening}'); read -r <&3; eval "$(scripts/env)"; kill $!; export -p`,
    { ...proxies, NODE: process.execPath }
  )
  return Object.fromEntries([...said.matchAll(/^declare -x (\w+)="(.*)"$/gmu)].map(([, name, value]) => [name, value]))
}

it.each([
  { given: "no proxy", proxies: {}, expected: "127.0.0.1,localhost,10.200.0.1,127.0.0.2" },
  {
    given: "hosts that are asked directly already",
    proxies: { NO_PROXY: "git.example.com,localhost" },
    expected: "git.example.com,localhost,127.0.0.1,10.200.0.1,127.0.0.2"
  },
  {
    given: "both spellings, of which programs read the lower-case one first",
    proxies: { no_proxy: "a.example.com", NO_PROXY: "b.example.com" },
    expected: "a.example.com,127.0.0.1,localhost,10.200.0.1,127.0.0.2"
  },
  { given: "all asked directly, which programs see only in a star by itself", proxies: { NO_PROXY: "*" }, expected: "*" }
])("has the server asked without a proxy, which would see the token: $given", ({ expected, proxies }) => {
  expect(exported(proxies)).toMatchObject({
    AGENT_JOB_URL: "http://127.0.0.2:8080",
    AGENT_JOB_TOKEN: "t",
    NO_PROXY: expected,
    no_proxy: expected
  })
})
