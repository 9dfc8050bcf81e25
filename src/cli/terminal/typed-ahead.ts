// Drops what was typed at the terminal before a question: nobody had seen the question, so it is no answer.
// Invariant: what is typed once this has returned is left for whoever reads the answer.
// Used by screen.
import { closeSync, constants, openSync, readSync } from "node:fs"
import { ReadStream } from "node:tty"
import { codeOf } from "../../schema/system-error.ts"

/** More than a terminal keeps. There is a limit, so that a program that types without end holds nothing up. */
const mostReads = 64

/** Reads until nothing is left to read. */
const readAll = (terminal: number): void => {
  const buffer = Buffer.alloc(4096)
  try {
    for (let reads = 0; reads < mostReads; reads++) readSync(terminal, buffer)
  } catch (error) {
    if (codeOf(error) !== "EAGAIN") throw error
  }
}

/** Reads also a line without its end, which would begin the answer. */
const readRaw = (terminal: number): void => {
  const stream = new ReadStream(terminal) // if stdin had been raw, Node would set its modes as it ends, which stops it in the background
  try {
    stream.setRawMode(true)
    readAll(terminal)
  } finally {
    stream.destroy() // sets the modes that were
  }
}

export const dropTyped = (): void => {
  if (!process.stdin.isTTY) return
  try {
    const terminal = openSync("/dev/tty", constants.O_RDONLY | constants.O_NONBLOCK) // stdin may be one whose reads wait
    try {
      readAll(terminal) // in the background this stops here, until the modes are no longer those of the shell
      readRaw(terminal)
    } finally {
      closeSync(terminal)
    }
  } catch {
    return // the terminal cannot be opened or read, and the question is asked as it is
  }
}
