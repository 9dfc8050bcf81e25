// What `make test` prepares before its tests, with programs of the test in place of those that it calls.
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

it.each([
  { given: "a cluster of the user", CONTEXT: "kind-dev", calls: ["test/cluster/build kustomize tofu provider-time", "scripts/cluster"] },
  {
    given: "the embedded one, with which they come",
    CONTEXT: "",
    calls: ["test/cluster/up --check", "test/cluster/build", "scripts/cluster", "test/cluster/up --control-plane"]
  }
])("has the programs that tests run on this machine: $given", ({ CONTEXT, calls }) => {
  const { program, run, write } = checkout("scripts", "test/cluster/env.bash")
  for (const silent of ["scripts/packages", "scripts/bundle", "test/cluster/status", "test/cluster/down"]) write(silent, "#!/bin/sh\n")
  for (const told of ["scripts/cluster", "test/cluster/build", "test/cluster/up"]) write(told, `#!/bin/sh\necho ${told} "$@" >>calls\n`)
  for (const name of ["kubectl", "node"]) program(name, "")
  program("vitest", "cat calls")
  const { said, status } = run("scripts/test cluster", { CONTEXT })
  expect(status, said).toBe(0)
  expect(said.split("\n").filter((line) => /^(?:scripts|test)\//u.test(line))).toEqual(calls)
})

/** A checkout in which nothing that the tests need has to be made. */
const withoutWork = () => {
  const made = checkout("scripts", "test/cluster/env.bash")
  const { program, write } = made
  const silent = ["scripts/bundle", "scripts/cluster", "scripts/image", "scripts/install", "scripts/packages", "test/gitops/build"]
  for (const path of [...silent, ...["build", "down", "status", "up"].map((_) => `test/cluster/${_}`)]) write(path, "#!/bin/sh\n")
  for (const image of ["agent-job", "agent-job-runner"]) write(`.cache/${image}.image`, "")
  write("scripts/server.bash", "open_server() { :; }; server_url() { :; }; user_token() { :; }")
  for (const name of ["kubectl", "node"]) program(name, "")
  return made
}

it.each([
  {
    kinds: "unit process simulation cluster",
    CONTEXT: "",
    front: ["cluster"],
    beside: ["process", "simulation", "unit"],
    why: "what needs no cluster"
  },
  {
    kinds: "unit cluster gitops node",
    CONTEXT: "",
    front: ["cluster", "node", "alone"],
    beside: ["gitops", "unit"],
    why: "what has its own"
  },
  {
    kinds: "unit cluster node",
    CONTEXT: "kind-dev",
    front: ["cluster", "node", "alone"],
    beside: ["unit"],
    why: "what needs none of a user"
  },
  { kinds: "gitops long", CONTEXT: "", front: ["gitops", "long"], beside: [], why: "nothing that has the same control plane" }
])("runs beside the others $why, and shows what these print after it: $kinds", ({ CONTEXT, beside, front, kinds }) => {
  const { program, run } = withoutWork()
  program("vitest", `echo "ran $3"; echo "$3 at $(nice)"; [[ $3 != ${beside[0] ?? "none"} ]] || { echo "why of $3" >&2; false; }`)
  const { said, status } = run(`scripts/test ${kinds}`, { CONTEXT })
  const ran = Array.from(said.matchAll(/^ran (\w+)$/gmu), ([, kind]) => kind)
  expect(ran.slice(0, front.length), said).toEqual(front)
  expect(ran.slice(front.length).toSorted()).toEqual(beside)
  if (beside[0] !== undefined) {
    expect(said).toMatch(new RegExp(`^failed: ${beside[0]} tests, which ended with 1\nwhy of ${beside[0]}$`, "mu"))
  }
  const niceness = (kind = "") => Number(new RegExp(`^${kind} at (\\d+)$`, "mu").exec(said)?.[1])
  for (const kind of beside) expect(niceness(kind), said).toBeGreaterThan(niceness(front[0]))
  expect(status).toBe(beside.length === 0 ? 0 : 1)
})

it.each(["true", "false"])("builds the images while the tests of the cluster run, and then does what is left of it: %s", (ends) => {
  const { program, run, write } = withoutWork()
  const waits = "for i in $(seq 200); do [ ! -e ran ] || break; sleep 0.05; done; [ ! -e ran ] || echo images >>calls"
  write("scripts/image", `#!/bin/sh\nif mkdir begun 2>/dev/null; then ${waits}; ${ends}; else echo the rest >>calls; fi\n`)
  program("vitest", "echo $3 >>calls; : >ran")
  const { said, status } = run("scripts/test cluster node && cat calls")
  expect(status, said).toBe(0)
  expect(said.trimEnd().split("\n").slice(-5)).toEqual(["cluster", "images", "the rest", "node", "alone"])
})
