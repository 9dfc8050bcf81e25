// The event of a task: the API server accepts it, whatever the task's name and whatever the message.
import { expect, it } from "@effect/vitest"
import { event } from "../../../src/controller/reconcile/event.ts"
import { Notice } from "../../../src/core/reconcile/action.ts"
import { Uid } from "../../../src/schema/names.ts"
import { noon, plainSeed, worldOf } from "../../core/worlds.ts"

const { task } = worldOf(plainSeed)
const eventOf = (name: string, message: string) =>
  event({ ...task, metadata: { ...task.metadata, name } }, Notice.Emit({ type: "Warning", reason: "Lost", message }), "test", noon)

it.each([
  { given: "of the longest name", name: "a".repeat(253), message: "It failed." },
  { given: "of a name that is cut at a dot", name: `${"a".repeat(240)}.....b`, message: "It failed." },
  { given: "in another script", name: "task", message: "終".repeat(1000) }
])("tells of a task $given in an event that the API server takes", ({ message, name }) => {
  const { eventTime, metadata, note } = eventOf(name, message)
  expect(metadata.name.length).toBeLessThanOrEqual(253)
  // The API server's own check of a name.
  expect(metadata.name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u)
  expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024)
  expect(note.slice(0, 9)).toBe(message.slice(0, 9))
  expect(eventTime).toMatch(/\.\d{6}Z$/u)
})

it("has the same name for the same words, and another for others", () => {
  const [once, again, other] = ["It failed.", "It failed.", "It is lost."].map((message) => eventOf("task", message).metadata.name)
  expect([again === once, other === once]).toEqual([true, false])
  const anew = { ...task, metadata: { ...task.metadata, name: "task", uid: Uid.make("made-anew") } }
  const notice = Notice.Emit({ type: "Warning", reason: "Lost", message: "It failed." })
  expect(event(anew, notice, "test", noon).metadata.name).not.toBe(once) // or nobody would hear it of a task that was made anew
})
