// The command line as a whole: which commands there are, and what a newcomer reads first.
// Invariant: importing this loads no server, controller, worker or cluster client; each command loads its own.
// Run by main.ts.
import { Effect, Predicate } from "effect"
import { Command, Completions } from "effect/cli"
import "../http/patient-addresses.ts"
import { programVersion } from "../schema/program-version.ts"
import { approve, discard } from "./commands/approve.ts"
import { bundle } from "./commands/bundle.ts"
import { cancel } from "./commands/cancel.ts"
import { config } from "./commands/config.ts"
import { controller } from "./commands/controller.ts"
import { doctor } from "./commands/doctor.ts"
import { drain } from "./commands/drain.ts"
import { get } from "./commands/get.ts"
import { logs } from "./commands/logs.ts"
import { migrate } from "./commands/migrate.ts"
import { overlay } from "./commands/overlay.ts"
import { pool } from "./commands/pool.ts"
import { render } from "./commands/render.ts"
import { run } from "./commands/run.ts"
import { server } from "./commands/server.ts"
import { state } from "./commands/state.ts"
import { vars } from "./commands/vars.ts"
import { version } from "./commands/version.ts"
import { install, probe, worker } from "./commands/worker.ts"
import { misread } from "./flags/one-dash.ts"
import { BadInput } from "./terminal/failure.ts"

const description = [
  "agent-job runs every stage of OpenTofu and Terraform (plan, apply, destroy) as a Kubernetes Job of its own, in a cluster that you own.",
  "  You give it a directory; it plans that in the cluster, shows you what would change, and applies exactly that plan once you say yes.",
  "  Start with:  agent-job run DIR --workspace NAME",
  "",
  "  AGENT_JOB_URL and AGENT_JOB_TOKEN say where the server is and who you are; KUBECONFIG where the cluster is.",
  "  Exit codes: 0 success, 1 the run failed, 2 bad input, 3 nothing there, 4 server or cluster unreachable, 5 token refused, 6 cancelled or discarded, 7 a plan with changes."
].join("\n")

const agentJob = Command.make("agent-job").pipe(
  Command.withDescription(description),
  Command.withSubcommands([
    { group: "RUNS", commands: [run, get, logs, approve, discard, cancel, vars, state, pool] },
    { group: "INSTALLATION", commands: [render, config, overlay, migrate, doctor, bundle, drain, server, controller, version] },
    { group: "INSIDE A TASK'S POD", commands: [worker, install, probe] }
  ]),
  Command.withExamples([
    { command: "agent-job run examples/quickstart --workspace demo", description: "Plan, ask, apply" },
    { command: "agent-job get runs", description: "What runs, what waits and why" },
    { command: "agent-job logs -f run-k3v9x2", description: "Watch a run" }
  ])
)

const gone = new BadInput({ message: "The current directory is gone; change to one that is there." })

/** Reports whether a path could not be made absolute because the directory that we run in was removed. */
const isGone = (defect: unknown): boolean => Predicate.hasProperty(defect, "syscall") && defect.syscall === "uv_cwd"

/** Runs the command that the arguments name. */
export const commandLine = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const problem = misread(args, Completions.fromCommand(agentJob))
  if (problem !== undefined) return yield* new BadInput({ message: problem })
  return yield* Effect.catchDefect(
    Command.runWith(agentJob, { version: programVersion })(args),
    (defect) => isGone(defect) ? Effect.fail(gone) : Effect.die(defect)
  )
})
