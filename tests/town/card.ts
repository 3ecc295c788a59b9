/** An emulated card, a DESFire Light unless told otherwise: bytes in, bytes out, strictly as CARDS says. */
import { challenge, prove } from './cardauth.ts';
import { type CardCommand, cardCommands } from './cardcommands.ts';
import { answer, asleep, type Core, forget, MAC_LENGTH, type Profile, refuse, STATUS } from './cardcore.ts';
import { commandMac, concat, fromLsb, openCommand, same, sealReply } from './cardcrypto.ts';
import { type CardMemory, type CardMode, permit, tmacFile } from './cardfiles.ts';
import { settingsCommands } from './cardsettings.ts';

export interface Card {
  /** What lies in the memory of the card, or of its selected application; tests read it, and prepare it. */
  readonly memory: CardMemory;
  /** Executes one command APDU. */
  process(apdu: Uint8Array): Uint8Array;
  /** The card left the field: session and open transaction are gone. */
  reset(): void;
}

const CTR_LAST = 0xffff;

/** MF2DL(H)x0. */
const LIGHT: Profile = {
  commands: () => ({ ...cardCommands, ...settingsCommands }),
  iso: { 164: selectFile },
  made: [
    Uint8Array.of(0x04, 0x08, 0x01, 0x30, 0x00, 0x13, 0x05),
    Uint8Array.of(0x04, 0x08, 0x01, 0x30, 0x00, 0x13, 0x05),
    Uint8Array.of(0xb0, 0xa7, 0xc4, 0x00, 0x00, 0x2a, 0x21),
  ],
  wrongKey: STATUS.denied,
};

/** A card that is at work. */
interface Processor extends Core {
  readonly profile: Profile;
  readonly commands: Readonly<Record<number, CardCommand>>;
}

/**
 * Brings a memory to life.
 * @param random gives the card's challenges and transaction identifiers
 */
export function createCard(memory: CardMemory, random: (length: number) => Uint8Array, profile = LIGHT): Card {
  const made: Core = { memory, random, live: asleep(profile.awake) };
  const core: Processor = Object.assign(made, { profile, commands: profile.commands(made) });
  return {
    get memory() {
      return core.memory;
    },
    process: (apdu) => processApdu(core, apdu),
    reset: () => {
      core.memory = memory;
      core.live = asleep(profile.awake);
    },
  };
}

function processApdu(core: Processor, apdu: Uint8Array): Uint8Array {
  const [cla, ins = 0] = apdu;
  // A reader answers this one itself, with the UID from anticollision; it does not disturb the card.
  if (cla === 0xff && ins === 0xca) return concat(identifier(core), [0x90, 0x00]);
  if (ins !== core.live.reading?.ins) core.live.reading = null;
  const iso = cla === 0x00 ? core.profile.iso[ins] : undefined;
  if (iso !== undefined) return iso(core, apdu);
  if (cla !== 0x90) return Uint8Array.of(0x6e, 0x00);
  if (apdu.length === 5) return nativeCommand(core, ins, new Uint8Array());
  if (apdu.length < 5 || apdu.length !== 6 + (apdu[4] ?? 0) || apdu.at(-1) !== 0) return refuse(core, STATUS.length);
  return nativeCommand(core, ins, apdu.slice(5, -1));
}

/** What anticollision shows: a random identifier begins with 08 (CARDS section 11.1). */
function identifier({ memory, live, random }: Core): Uint8Array {
  if (memory.randomId !== true) return memory.uid;
  live.nuid ??= concat([0x08], random(3));
  return live.nuid;
}

function selectFile(core: Core, apdu: Uint8Array): Uint8Array {
  core.live = asleep();
  if (apdu[2] !== 0x04 || (apdu[3] !== 0x0c && apdu[3] !== 0x00)) return Uint8Array.of(0x6a, 0x86);
  const length = apdu[4] ?? 0;
  if (apdu.length !== 5 + length && apdu.length !== 6 + length) return Uint8Array.of(0x67, 0x00);
  if (!same(apdu.subarray(5, 5 + length), core.memory.dfName)) return Uint8Array.of(0x6a, 0x82);
  core.live.selected = true;
  return Uint8Array.of(0x90, 0x00);
}

function nativeCommand(core: Processor, ins: number, data: Uint8Array): Uint8Array {
  const answered = core.profile.before?.(core, ins, data) ?? null;
  if (answered !== null) return answered;
  const { challenge: pending, frames } = core.live;
  if (ins === 0xaf) return pending !== null ? prove(core, data) : nextFrame(core, data);
  if (pending !== null || frames !== null) return refuse(core, STATUS.aborted);
  if (ins === 0x71 || ins === 0x77) return challenge(core, ins === 0x71, data);
  if (ins === 0x60) return version(core, data);
  const command = core.commands[ins];
  return command === undefined ? refuse(core, STATUS.illegal) : execute(core, ins, command, data);
}

/** GetVersion: three frames. */
function version(core: Processor, data: Uint8Array): Uint8Array {
  const { session } = core.live;
  if (data.length !== (session === null ? 0 : MAC_LENGTH)) return refuse(core, STATUS.length);
  if (session !== null && !same(data, commandMac(session, 0x60, new Uint8Array()))) {
    return refuse(core, STATUS.integrity);
  }
  const [hardware, software, production] = core.profile.made;
  // NT4H2421Gx table 58: a card with a random identifier keeps its own to itself.
  const uid = core.memory.randomId === true ? new Uint8Array(7) : core.memory.uid;
  core.live.frames = { sent: hardware, rest: [software, concat(uid, production)] };
  return answer(hardware, STATUS.more);
}

function nextFrame(core: Core, data: Uint8Array): Uint8Array {
  const { frames, session } = core.live;
  const [frame, ...after] = frames?.rest ?? [];
  if (frames === null || frame === undefined) return refuse(core, STATUS.illegal);
  if (data.length > 0) return refuse(core, STATUS.length);
  const all = concat(frames.sent, frame);
  core.live.frames = after.length > 0 ? { sent: all, rest: after } : null;
  if (after.length > 0) return answer(frame, STATUS.more);
  if (session === null) return answer(frame, STATUS.ok);
  // Frames are one command: the counter moves once, and the last frame's MAC covers them all.
  session.ctr += 1;
  return answer(concat(frame, sealReply(session, 'mac', all).slice(-MAC_LENGTH)), STATUS.ok);
}

/** The protection of this command, or the error byte. */
function protection({ live, memory, profile }: Processor, command: CardCommand, header: Uint8Array): CardMode | number {
  const { guard } = command;
  const { session } = live;
  if (guard === 'plain' || guard === 'mac' || guard === 'full') {
    const needed = typeof command.session === 'function' ? command.session(memory) : command.session === true;
    const known = session !== null || (live.legacy !== null && live.legacy.key !== null);
    if (session === null) return needed && !known ? STATUS.authentication : 'plain';
    return session.keyNo === 0 || !needed ? guard : (command.otherKey ?? guard);
  }
  const file = guard === 'reader id' ? tmacFile(memory) : memory.files.get(header[0] ?? 0);
  if (file === null || file === undefined) return STATUS.noFile;
  const mode = permit(file, guard, session?.keyNo ?? null, profile.wrongKey);
  if (session === null || typeof mode === 'number') return mode;
  // In a session these have a mode of their own, whatever mode the file has.
  return guard === 'reader id' ? 'mac' : guard === 'change' || guard === 'counter' ? 'full' : mode;
}

function execute(core: Processor, ins: number, command: CardCommand, body: Uint8Array): Uint8Array {
  const { live, memory } = core;
  if (!live.selected) return refuse(core, STATUS.noFile);
  if (body.length < command.header) return refuse(core, STATUS.length);
  const header = body.subarray(0, command.header);
  const mode = protection(core, command, header);
  if (typeof mode === 'number') return refuse(core, mode);
  const { session } = live;
  const guarded = mode === 'plain' ? null : session;
  const end = body.length - (guarded === null ? 0 : MAC_LENGTH);
  if (end < command.header) return refuse(core, STATUS.length);
  if (guarded !== null && !same(body.subarray(end), commandMac(guarded, ins, body.subarray(0, end)))) {
    return refuse(core, STATUS.integrity);
  }
  const sent = body.subarray(command.header, end);
  const data = guarded !== null && mode === 'full' ? openCommand(guarded, sent) : sent;
  if (data === null) return refuse(core, STATUS.integrity);
  const announced = command.data === 'range' ? fromLsb(header.subarray(4, 7)) : command.data;
  if (announced !== 'any' && data.length !== announced) return refuse(core, STATUS.length);
  if (session !== null && session.ctr >= CTR_LAST) return refuse(core, STATUS.aborted);
  const place = { memory, transaction: live.transaction, authenticated: session !== null, mode };
  const result = command.run(place, header, data);
  if (typeof result === 'number') return refuse(core, result);
  live.transaction = place.transaction;
  // The counter moves for plain commands too (CARDS section 3.4).
  if (session !== null) session.ctr += 1;
  const { status = STATUS.ok } = command;
  const ends = command.endsSession?.(header) === true;
  if (ends) forget(core);
  if (ends || guarded === null || mode === 'plain') return answer(result, status);
  return answer(sealReply(guarded, mode, result, status), status);
}
