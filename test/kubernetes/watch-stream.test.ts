import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { jobs, pods } from "../../src/kubernetes/kinds.ts"
import { acceptFor, watchEvents } from "../../src/kubernetes/watch-stream.ts"

const protobufType = "application/vnd.kubernetes.protobuf;stream=watch"

/** A field of a message is a text, bytes, a number or another message, which is given encoded. Fields are written in the order given. */
type Value = string | number | Uint8Array
const encoded = (...fields: ReadonlyArray<readonly [number: number, value: Value]>): Uint8Array => {
  const writer = new BinaryWriter()
  for (const [number, value] of fields) {
    if (typeof value === "number") writer.tag(number, WireType.Varint).int64(value)
    else writer.tag(number, WireType.LengthDelimited).bytes(typeof value === "string" ? Buffer.from(value) : value)
  }
  return writer.finish()
}

const frame = (type: string, object: Uint8Array): Buffer => {
  const enveloped = Buffer.concat([Buffer.from("k8s\0"), encoded([1, encoded([1, "batch/v1"], [2, "Job"])], [2, object], [3, ""], [4, ""])])
  const body = encoded([1, type], [2, encoded([1, enveloped])])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

const meta = (name: string) =>
  encoded(
    [1, name],
    [3, "team"],
    [5, "uid-1"],
    [6, "7"],
    [7, 1],
    [8, encoded([1, 1_767_225_600])],
    [11, encoded([1, "a"], [2, "b"])],
    [11, encoded([1, "empty"], [2, ""])],
    [13, encoded([1, "AgentTask"], [3, "demo"], [4, "u"], [6, 1], [7, 0])],
    [17, encoded([1, "somebody"])]
  )
const job = (name: string) =>
  encoded([1, meta(name)], [2, encoded([99, "a large template"])], [
    3,
    encoded([1, encoded([1, "Complete"], [2, "True"], [5, ""], [6, ""])], [4, 1])
  ])
const asJson = (name: string) => ({
  metadata: {
    name,
    namespace: "team",
    uid: "uid-1",
    resourceVersion: "7",
    creationTimestamp: "2026-01-01T00:00:00Z",
    labels: { a: "b", empty: "" },
    ownerReferences: [{ kind: "AgentTask", name: "demo", uid: "u", controller: true }]
  },
  status: { conditions: [{ type: "Complete", status: "True" }] }
})

const eventsOf = (bytes: ReadonlyArray<Uint8Array>, { watched } = jobs) =>
  Stream.runCollect(watchEvents(Stream.fromIterable(bytes), protobufType, watched))

describe("a watch in protobuf", () => {
  it.effect("gives what the JSON of the same object has, and skips what nobody reads", () =>
    Effect.gen(function*() {
      expect(yield* eventsOf([frame("ADDED", job("demo"))])).toEqual([{ type: "ADDED", object: asJson("demo") }])
    }))

  it.effect("tells what a container is not yet, as JSON does", () =>
    Effect.gen(function*() {
      const sidecar = encoded([1, "proxy"], [2, encoded([2, encoded([1, ""])])], [4, 0], [5, 2], [9, 0])
      const [event] = yield* eventsOf([frame("ADDED", encoded([1, meta("demo")], [3, encoded([1, "Pending"], [10, sidecar])]))], pods)
      const initContainerStatuses = [{ name: "proxy", state: { running: {} }, ready: false, started: false }]
      expect(event).toMatchObject({ object: { status: { phase: "Pending", initContainerStatuses } } })
    }))

  it.effect.prop("gives the same events wherever the bytes are cut", {
    names: Schema.Array(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(40))).check(Schema.isMaxLength(5)),
    size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 300 }))
  }, ({ names, size }) =>
    Effect.gen(function*() {
      const bytes = Buffer.concat(names.map((name) => frame("MODIFIED", job(name.toWellFormed()))))
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
      expect(yield* eventsOf(chunks)).toEqual(names.map((name) => ({ type: "MODIFIED", object: asJson(name.toWellFormed()) })))
    }))

  it.effect("gives all that an object has of one kind, in good time, however much that is", () =>
    Effect.gen(function*() {
      const count = 500_000
      const owners = Array<Uint8Array>(count).fill(encoded([13, encoded([1, "A"], [3, "a"], [4, "u"], [5, "v1"])]))
      const [event] = yield* eventsOf([frame("ADDED", encoded([1, Buffer.concat([meta("demo"), ...owners])]))])
      expect(event).toMatchObject({ object: { metadata: { ownerReferences: { length: count + 1 } } } })
    }))

  it.effect("has an ERROR with the code and reason of its Status", () =>
    Effect.gen(function*() {
      const status = encoded([1, encoded()], [2, "Failure"], [3, "too old"], [4, "Expired"], [6, 410])
      expect(yield* eventsOf([frame("ERROR", status)])).toEqual([{
        type: "ERROR",
        object: { message: "too old", reason: "Expired", code: 410 }
      }])
    }))

  it.effect("does not wait for an event that no object can be, and takes nothing that is no event", () =>
    Effect.gen(function*() {
      expect((yield* Effect.flip(eventsOf([Buffer.from([0x7f, 0, 0, 0])]))).message).toBe("an event has no end")
      expect(yield* Effect.flip(eventsOf([Buffer.from([0, 0, 0, 3, 0xff, 0xff, 0xff])]))).toBeInstanceOf(Error)
      expect((yield* Effect.flip(eventsOf([Buffer.from([0, 0, 0, 2, 0x0a, 0x00])]))).message).toContain("not Kubernetes' protobuf")
    }))

  it.effect("leaves out what is cut off in its middle", () =>
    Effect.gen(function*() {
      expect(yield* eventsOf([frame("ADDED", job("demo")), frame("ADDED", job("other")).subarray(0, 20)])).toHaveLength(1)
    }))
})

describe("a watch", () => {
  it.effect("is read as JSON where the server answers with it", () =>
    Effect.gen(function*() {
      const line = Buffer.from(`${JSON.stringify({ type: "ADDED", object: asJson("demo") })}\n`)
      for (const fields of [jobs.watched, undefined]) {
        expect(yield* Stream.runCollect(watchEvents(Stream.make(line), "application/json", fields))).toEqual([{
          type: "ADDED",
          object: asJson("demo")
        }])
      }
    }))

  it.effect("does not wait for a line that no object can be, in however many pieces it comes", () =>
    Effect.gen(function*() {
      const endless = Stream.fromIterable(Array(17).fill(Buffer.alloc(1024 * 1024, "x")))
      const failed = yield* Effect.flip(Stream.runDrain(watchEvents(endless, "application/json", undefined)))
      expect(failed.message).toBe("an event has no end")
    }))

  it("asks for protobuf only where there is a table of what to read", () => {
    expect([acceptFor(jobs.watched), acceptFor(undefined)]).toEqual([
      "application/vnd.kubernetes.protobuf;stream=watch, application/json",
      "application/json"
    ])
  })
})
