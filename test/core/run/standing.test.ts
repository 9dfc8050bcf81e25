import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { Speaker, type Standing, standing, withoutGuess } from "../../../src/core/run/standing.ts"

const id = "run-a.plan.1"
const [own, other, none] = [Option.some("own"), Option.some("other"), Option.none<string>()]
const agent = (taskUid: Option.Option<string>, pool = "west") => Speaker.Agent({ pool, taskUid, name: "agent-1" })
const bearer = (taskUid: Option.Option<string>, pool: string | null = "west") => Speaker.Bearer({ pool, taskUid })
const worker = (taskUid: Option.Option<string>) => Speaker.Worker({ taskUid })

const answers = {
  counts: "counts",
  "takes the stage": "takes",
  "is refused as a wrong token is": "unauthorized",
  "is another agent's": { taken: `Another agent has the stage ${id}; what this one asks or says of it changes nothing.` },
  "is another pool's": { taken: `The stage ${id} is for the agents of another pool; what this one asks or says of it changes nothing.` }
} satisfies Record<string, Standing>
type Answer = keyof typeof answers

describe("what is asked or said of a stage that no AgentTask has", () => {
  it.each<[by: string, answer: Answer, speaker: Speaker, mayTake: boolean]>([
    ["an agent for its task", "takes the stage", agent(own), true],
    ["an agent without a task", "counts", agent(none), true],
    ["an agent for its task, of a pool that the workspace is not for", "is another pool's", agent(own), false],
    ["an agent without a task, of a pool that the workspace is not for", "is another pool's", agent(none), false],
    ["a worker with the token of an offer", "takes the stage", bearer(own), true],
    ["a worker with the token of an offer from before pools were noted", "takes the stage", bearer(own, null), true],
    ["a worker with the token of an offer to a pool that the workspace is not for", "is another pool's", bearer(own), false],
    ["a worker that was let in", "takes the stage", worker(own), true],
    ["a worker that was let in before tasks named themselves", "counts", worker(none), true]
  ])("by %s %s", (_, answer, by, mayTake) => {
    for (const agentPool of ["west", "east", null]) expect(standing({ id, taskUid: null, agentPool }, by, mayTake)).toEqual(answers[answer])
  })
})

describe("what is asked or said of a stage that an AgentTask has, wherever its workspace is moved", () => {
  it.each<[by: string, answer: Answer, speaker: Speaker]>([
    ["an agent for that task", "counts", agent(own)],
    ["an agent for that task, whose pool has another name by now", "counts", agent(own, "east")],
    ["an agent for another task", "is another agent's", agent(other)],
    ["an agent without a task", "is another agent's", agent(none)],
    ["its worker with the token of an offer", "counts", bearer(own)],
    ["its worker with the token of an offer from before pools were noted", "counts", bearer(own, null)],
    ["who has the token of an offer to another pool, and knows the UID,", "is refused as a wrong token is", bearer(own, "east")],
    ["the worker of another task", "is another agent's", bearer(other)],
    ["the worker of another task, of another pool", "is another agent's", bearer(other, "east")],
    ["a worker that names no task", "is another agent's", bearer(none)],
    ["its worker that was let in", "counts", worker(own)],
    ["the worker of another task that was let in before", "is another agent's", worker(other)],
    ["a worker without a task that was let in before", "is another agent's", worker(none)]
  ])("by %s %s", (_, answer, by) => {
    for (const mayTake of [true, false]) expect(standing({ id, taskUid: "own", agentPool: "west" }, by, mayTake)).toEqual(answers[answer])
  })

  it("by its worker counts where it is not known which pool took the stage", () =>
    expect(standing({ id, taskUid: "own", agentPool: null }, bearer(own), false)).toBe("counts"))
})

describe("a guess of an agent that a lost stage may have had its lock", () => {
  const known = { cancelSeq: null, startedAt: null, taskUid: "own" }
  const lost = { outcome: "failed", reason: "NodeLost", message: "The node is gone.", finishedAt: "2026-01-31T12:00:00Z" } as const
  it.each([
    ["no task had here", { ...known, taskUid: null }, true],
    ["no task had here, and that is cancelled", { ...known, taskUid: null, cancelSeq: 7 }, true],
    ["was offered again", known, true],
    ["had a task here, and is cancelled", { ...known, cancelSeq: 7 }, false],
    ["began here", { ...known, startedAt: "2026-01-31T11:00:00Z" }, false]
  ])("counts of one that %s: %s %s", (_, stage, counts) => {
    const guess = { ...lost, statePushed: false }
    expect(withoutGuess(stage, agent(own), guess)).toEqual(counts ? guess : lost)
    for (const told of [lost, { ...guess, exitCode: 137 }, { ...lost, statePushed: true }]) {
      expect(withoutGuess(stage, agent(own), told)).toBe(told)
    }
    expect(withoutGuess(stage, worker(own), guess)).toBe(guess)
  })
})
