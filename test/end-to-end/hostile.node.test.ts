// A malicious configuration on a real node: what its code in the runner can do to its own run, its log, and everything else.
import { assert, describe } from "vitest"
import { kubectl, podLog, taskOf } from "./cluster.ts"
import { agentJob, type Files, it } from "./product.ts"

/** A configuration whose apply runs the script in the runner. The script has a file of its own, so that its quotes stay as they are. */
const harmful = (script: string): Files => ({
  "main.tf": `resource "terraform_data" "harm" {\n  provisioner "local-exec" {\n    command = file("\${path.module}/harm.sh")\n  }\n}\n`,
  "harm.sh": script
})

const megabytes = 72

/** Asks addresses with the engine, the one HTTP client that every runner has: each address is given to it as a state backend. */
const asks = `
ask() {
  mkdir -p /tmp/ask && cd /tmp/ask && rm -rf .terraform
  printf 'terraform {\\n  backend "http" {\\n    address = "%s"\\n    retry_max = 0\\n    skip_cert_verification = true\\n  }\\n}\\n' "$2" >main.tf
  env -i PATH="$PATH" HOME=/tmp timeout 10 sh -c 'tofu init -no-color && tofu state pull -no-color' >answer 2>&1
  echo "$1 answers $(grep -v '^$' answer | tail -n 4 | tr '\\n' ' ') ($?)"
}
ask server-runs http://agent-job-server.agent-job:8080/api/agent-job/v1/runs
ask server-stage http://agent-job-server.agent-job:8080/api/task/v1/assignment
ask kubernetes https://kubernetes.default.svc/api/v1/namespaces/agent-job-tasks/secrets
ask metadata http://169.254.169.254/latest/meta-data/
for port in $(cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == "0A" { split($2, place, ":"); print place[2] }' | sort -u); do ask "port-$port" "http://127.0.0.1:$((0x$port))/"; done
ls -la /var/run/secrets/kubernetes.io/serviceaccount 2>&1 | head -1
`

describe.concurrent("a hostile runner", () => {
  it("that floods its log faster than anybody takes it loses the middle, with a word where, keeps its end, and goes on", async ({ scene }) => {
    // The script writes to the engine's own stdout, a pipe that its children may open, because the engine needs a minute for as much.
    const { code, report: { run } } = await scene.run(
      harmful(`head -c ${megabytes}000000 /dev/zero | tr '\\0' x >/proc/$PPID/fd/1; echo; echo the last words | tr a-z A-Z\n`),
      "--auto-approve"
    )
    assert.strictEqual(code, 0, run.failure)
    const { stdout } = await agentJob("logs", run.id, "--stage", "apply")
    assert.isBelow(stdout.length, 64 * 1024 * 1024 + 100_000)
    assert.match(stdout, /\[\d+ bytes of the log are missing here: the server did not take them in time\]|\[The log is longer than 64 MiB/u)
    assert.include(stdout, "THE LAST WORDS")
    assert.include(stdout, "Apply complete! Resources: 1 added")
  })

  it("that leaves processes behind which heed no signal does not outlive its stage", async ({ scene }) => {
    const { code, report: { run } } = await scene.run(
      harmful(
        `for n in $(seq 200); do (trap '' TERM INT HUP; exec setsid sleep 900) >/dev/null 2>&1 & done; until [ $(grep -l sleep /proc/[0-9]*/comm 2>/dev/null | wc -l) -ge 200 ]; do sleep 0.2; done; echo "there are $(grep -l sleep /proc/[0-9]*/comm | wc -l) of them"\n`
      ),
      "--auto-approve"
    )
    assert.strictEqual(code, 0, run.failure)
    const [, count] = /there are (\d+) of them/u.exec((await agentJob("logs", run.id, "--stage", "apply")).stdout) ?? []
    assert.isAtLeast(Number(count), 200)
    const { status: { pod } } = await taskOf(`${run.id}-apply`)
    await kubectl(["wait", `pod/${pod?.name ?? ""}`, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"])
  })

  it("that writes to the terminal of whoever reads its log writes only text", async ({ scene }) => {
    const { code, report: { run } } = await scene.run(
      harmful(
        `printf '\\033]0;a title\\007\\033[2J\\033]8;;https://example.com\\007li''nk\\033]8;;\\007 \\033[31mred\\033[0m \\r\\033[8mhidden\\n' | tee /proc/$PPID/fd/1\n`
      ),
      "--auto-approve"
    )
    assert.strictEqual(code, 0, run.failure)
    const { stdout } = await agentJob("logs", run.id, "--stage", "apply")
    assert.isAtLeast(stdout.split("link").length, 3) // once through the engine, and once past it
    // oxlint-disable-next-line no-control-regex
    assert.notMatch(stdout, /\u001b|\u0007/u)
  })

  it("that asks the server, the API server, the metadata and the worker gets nothing from any of them", async ({ scene }) => {
    const { code, report: { run } } = await scene.run(harmful(asks), "--auto-approve")
    assert.strictEqual(code, 0, run.failure)
    const { stdout } = await agentJob("logs", run.id, "--stage", "apply", "--no-color")
    const answers = new Map([...stdout.matchAll(/(\S+) answers (.*)/gu)].map(([, whom = "", what = ""]) => [whom, what]))
    for (const whom of ["server-runs", "server-stage", "kubernetes"]) {
      assert.match(answers.get(whom) ?? "", /requires auth|invalid auth/u, whom)
    }
    assert.match(answers.get("metadata") ?? "", /refused|timeout|timed out|no route|unreachable|Terminated/iu)
    const ports = [...answers].filter(([whom]) => whom.startsWith("port-"))
    assert.isNotEmpty(ports)
    for (const [whom, what] of ports) assert.notMatch(what, /"lineage":"[^"]|"serial":[1-9]|ajt_/u, whom) // at most an empty state, which stands for no answer
    assert.match(stdout, /serviceaccount: No such file/u)
  })

  it("that leaves links, pipes and forged files where the worker reads harms only its own run", async ({ scene }) => {
    const { report: { run } } = await scene.run(
      harmful(`
cd "\${TF_DATA_DIR:-.terraform}/.." 2>/dev/null || cd .
for name in errored.tfstate terraform.tfstate .terraform.lock.hcl plan.tfplan journal effects state; do rm -rf "$name"; case "$name" in plan.tfplan | journal) mkfifo "$name" ;; *) ln -s /proc/self/environ "$name" ;; esac; done
for pipe in $(find / -xdev -type p 2>/dev/null); do for n in 1 2 3; do (printf 'exit %s 0\\nboot x\\n\\377\\376garbage\\n' "$n" >"$pipe" & sleep 0.1; kill $! 2>/dev/null); done; done
echo "there are $(ls -l | grep -c '^l') links and $(ls -l | grep -c '^p') pipes"
`),
      "--auto-approve"
    )
    assert.match((await agentJob("logs", run.id, "--stage", "apply")).stdout, /there are [4-9] links and [2-9] pipes/u)
    const task = await taskOf(`${run.id}-apply`)
    assert.notMatch(JSON.stringify(task.status) + await podLog(task), /AGENT_JOB_TOKEN|ajt_[\w-]{20}/u)
    // The next run of the workspace is not disturbed by what this one left.
    const next = await scene.run(harmful("echo fine\n"), "--auto-approve")
    assert.strictEqual(next.code, 0, next.report.run.failure)
  })
})
