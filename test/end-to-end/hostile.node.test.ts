// A malicious configuration on a real node: what its code in the runner can do to its own run, its log, and everything else.
import { assert, describe } from "vitest"
import { kubectl, podLog, taskOf } from "./cluster.ts"
import { scripted } from "./configurations.ts"
import { agentJob, it } from "./product.ts"
import { resourcesOf } from "./server.ts"

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
for port in $(cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == "0A" { split($2, place, ":"); print place[2] }' | sort -u); do ask "port-$port" "http://127.0.0.1:$((0x$port))/"; done
ls -la /var/run/secrets/kubernetes.io/serviceaccount 2>&1 | head -1
`

/** Writes words of the exec loop's protocol into every pipe: of no command, and of commands that are over. Then it fails. */
const forges = `
ended=$(find / -path /proc -prune -o -type d -path '*/exec/ended/*' -print | sed 's|.*/||')
for id in 1 x ../../x $ended; do for word in taken started aborted memory INT TERM KILL; do echo "$word $id"; done; echo "exit $id 0"; done >/tmp/words
echo "$(echo $ended | wc -w) commands are over"
printf 'boot x\\n\\377\\376garbage\\n' >>/tmp/words
for pipe in $(find / -path /proc -prune -o -type p -print); do timeout 2 sh -c 'cat /tmp/words >"$1"' forge "$pipe" && echo "forged in $pipe"; done
sleep 1
echo "still HERE after the forged words" | tr A-Z a-z
exit 3
`

describe.concurrent("a hostile runner", () => {
  it("that floods its log faster than anybody takes it loses the middle, with a word where, keeps its end, and goes on", async ({ scene }) => {
    // The script writes to the engine's own stdout, a pipe that its children may open, because the engine needs a minute for as much.
    const { code, report: { run } } = await scene.run(
      scripted(`head -c ${megabytes}000000 /dev/zero | tr '\\0' x >/proc/$PPID/fd/1; echo; echo the last words | tr a-z A-Z\n`),
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
      scripted(
        `for n in $(seq 200); do (trap '' TERM INT HUP; exec setsid sleep 900) >/dev/null 2>&1 & done; until [ $(grep -l sleep /proc/[0-9]*/comm 2>/dev/null | wc -l) -ge 200 ]; do sleep 0.2; done; echo "there are $(grep -l sleep /proc/[0-9]*/comm | wc -l) of them"\n`
      ),
      "--auto-approve"
    )
    assert.strictEqual(code, 0, run.failure)
    const [, count] = /there are (\d+) of them/u.exec((await agentJob("logs", run.id, "--stage", "apply")).stdout) ?? []
    assert.isAtLeast(Number(count), 200)
    const { status: { pod } } = await taskOf(`${run.id}-apply`)
    await kubectl(["wait", `pod/${pod?.name ?? ""}`, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=300s"])
  })

  it("that writes to the terminal of whoever reads its log writes only text", async ({ scene }) => {
    const { code, report: { run } } = await scene.run(
      scripted(
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

  it("that asks the server, the API server and the worker gets nothing from any of them", async ({ scene }) => {
    const { code, report: { run } } = await scene.run(scripted(asks), "--auto-approve")
    assert.strictEqual(code, 0, run.failure)
    const { stdout } = await agentJob("logs", run.id, "--stage", "apply", "--no-color")
    const answers = new Map([...stdout.matchAll(/(\S+) answers (.*)/gu)].map(([, whom = "", what = ""]) => [whom, what]))
    for (const whom of ["server-runs", "server-stage", "kubernetes"]) {
      assert.match(answers.get(whom) ?? "", /requires auth|invalid auth/u, whom)
    }
    const ports = [...answers].filter(([whom]) => whom.startsWith("port-"))
    assert.isNotEmpty(ports)
    for (const [whom, what] of ports) assert.notMatch(what, /"lineage":"[^"]|"serial":[1-9]|ajt_/u, whom) // at most an empty state, which stands for no answer
    assert.match(stdout, /serviceaccount: No such file/u)
  })

  it("that leaves links and pipes where the worker reads, and can make no device there, harms only its own run", async ({ scene }) => {
    const { report: { run } } = await scene.run(
      scripted(`
work=$PWD
for place in "$TF_DATA_DIR" "$work"; do
  cd "$place"
  for name in errored.tfstate terraform.tfstate .terraform.lock.hcl plan.tfplan journal effects state; do rm -rf "$name"; case "$name" in plan.tfplan | journal) mkfifo "$name" ;; *) ln -s /proc/self/environ "$name" ;; esac; done
done
for kind in b c; do rm -f device; echo "device $kind: $(mknod device $kind 1 5 2>&1)"; done
echo "there are $(ls -l | grep -c '^l') links, $(ls -l | grep -c '^p') pipes and $(ls -l | grep -c '^[bc]') devices"
`),
      "--auto-approve"
    )
    const { stdout } = await agentJob("logs", run.id, "--stage", "apply", "--no-color")
    assert.match(stdout, /device b: mknod: .*not permitted/u)
    assert.match(stdout, /device c: mknod: .*not permitted/u)
    assert.match(stdout, /there are [4-9] links, [2-9] pipes and 0 devices/u)
    const task = await taskOf(`${run.id}-apply`)
    assert.notMatch(JSON.stringify(task.status) + await podLog(task), /AGENT_JOB_TOKEN|ajt_[\w-]{20}/u)
    // The next run of the workspace is not disturbed by what this one left.
    const next = await scene.run(scripted("echo fine\n"), "--auto-approve")
    assert.strictEqual(next.code, 0, next.report.run.failure)
  })

  it("that says to worker and exec loop, in every pipe between them, that all ended well changes no result, exit code or state", async ({ scene }) => {
    const { code, report: { run } } = await scene.run(scripted(forges), "--auto-approve")
    const { stdout } = await agentJob("logs", run.id, "--stage", "apply", "--no-color")
    for (const pipe of ["requests", "signals", "replies", "stdout", "stderr", "events"]) {
      assert.match(stdout, new RegExp(`forged in .*/exec/.*${pipe}$`, "mu"))
    }
    assert.match(stdout, /[1-9] commands are over/u)
    assert.strictEqual(code, 1)
    assert.deepInclude(run.stages[1]?.result, { outcome: "failed", reason: "ExitCode", exitCode: 1, statePushed: true }, run.failure)
    assert.match(stdout, /still here after the forged words/u)
    assert.include(await resourcesOf(scene.name), "terraform_data.script")
  })
})
