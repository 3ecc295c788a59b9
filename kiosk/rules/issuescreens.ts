/** What each state of an issuing kiosk shows: Indonesian first, the number and name of a card that was made. */
import { spellRupiah } from '../../protocol/money.ts';
import { refusals } from '../../protocol/refusals.ts';
import { cardTroubles, lineTroubles, type Next, nexts, obstacleTroubles, refusalNexts } from './issuewords.ts';
import { type IssuePhase, type Issuing, issueObstacle, type Served, strangers, type Trouble } from './issuing.ts';
import { asking, busy, contact, type Face, type Screen, type Words } from './screens.ts';

/** Renders an issuing kiosk. @param at its monotonic clock, milliseconds */
export function issueView(state: Issuing, at: number): Screen {
  const face = state.help ? help : withStrangers(state, withObstacle(state, faceOf(state)));
  return {
    name: state.help ? 'help' : state.phase.name,
    ...face,
    badges: [contact(state, at)],
    keys: '? = bantuan/help',
  };
}

const help: Face = {
  light: 'none',
  mark: '?',
  sound: null,
  title: { id: 'Bantuan', en: 'Help' },
  amount: null,
  lines: [
    { id: 'Letakkan satu kartu dari kotak, tunggu sampai hijau', en: 'Lay down one card of the box, wait for green' },
    { id: 'Hijau = jadi: tulis nomor dan namanya', en: 'Green = made: write down its number and name' },
    { id: 'Kuning = tunggu; merah = lakukan yang tertulis', en: 'Yellow = wait; red = do what is written' },
  ],
};

function faceOf(state: Issuing): Face {
  const { phase } = state;
  switch (phase.name) {
    case 'waiting':
      return waiting(state);
    case 'checking':
      return { ...busy('Tahan kartu', 'Hold the card still'), lines: [words('Memeriksa kartu', 'Checking the card')] };
    case 'working':
      return working(phase);
    case 'done':
      return done(state, phase.card.presence, phase.served);
    case 'failed':
      return failed(phase);
  }
}

const words = (id: string, en: string): Words => ({ id, en });

function waiting(state: Issuing): Face {
  const why = issueObstacle(state);
  if (why === null) return asking('Siap. Letakkan kartu', 'Ready. Lay a card down');
  const face = asking('Belum bisa membuat kartu', 'Cannot make cards now');
  const [what] = obstacleTroubles[why];
  const fault = why === 'reader-down' ? state.readerFault : null;
  const technical = fault === null ? [] : [verbatim(fault)];
  const light = why === 'reader-down' ? 'red' : 'yellow';
  return { ...face, name: `waiting ${why}`, light, mark: '!', lines: [what, ...technical] };
}

/** The step moves, so that a person sees that it lives. */
const working = ({ turn }: IssuePhase & { name: 'working' }): Face => ({
  ...busy('Tahan kartu', 'Hold the card still'),
  lines: [words(`Membuat kartu, langkah ${turn}`, `Making the card, step ${turn}`)],
});

/** What comes from elsewhere moves no cursor and rings no bell. */
function verbatim(text: string): Words {
  const shown = text.replace(/\p{C}/gu, ' ');
  return words(shown, shown);
}

/** A number in groups of four, as it is printed on the card. */
export const grouped = (number: string): string => number.replace(/.{4}(?=.)/g, '$& ');

function done(state: Issuing, presence: number, served: Served): Face {
  const there = state.present.some((card) => card.presence === presence);
  const next = there
    ? words('Angkat kartu', 'Take the card away')
    : words('Letakkan kartu berikutnya', 'Lay the next card down');
  const [title, ...more] = happened(served);
  const lines = [verbatim(grouped(served.number)), ...more, next];
  return { name: `done ${presence}`, light: 'green', mark: 'OK', sound: 'ok', title, amount: null, lines };
}

/** What was done, in the title's words, and what else is to be known of it. */
function happened(served: Served): readonly [Words, ...Words[]] {
  switch (served.done) {
    case 'personalise': {
      const { holder, left } = served;
      const rest =
        left === 0 ? words('Itu pesanan terakhir', 'That was the last order') : words(`Sisa ${left}`, `${left} left`);
      return [words('Kartu jadi', 'The card is made'), verbatim(holder), rest];
    }
    case 'renewed':
      return [words('Kunci kartu diperbarui', "The card's keys are renewed")];
    case 'sound':
      return [words('Kartu ini sudah beres', 'Nothing to do for this card')];
    case 'drained':
      return [words('Kartu dibekukan dan dikosongkan', 'The card is frozen and emptied'), returned(served.amount)];
    case 'retired':
      return [
        words('Kartu ini tidak berlaku lagi', 'This card has ended'),
        returned(served.amount),
        words('Gunting kartunya', 'Cut it up'),
      ];
  }
}

function returned(amount: number): Words {
  if (amount === 0) return words('Tidak ada saldo di kartu', 'The card held nothing');
  const spelt = spellRupiah(BigInt(amount));
  return words(`${spelt} kembali ke rekening`, `${spelt} is back on the account`);
}

function failed({ card, trouble }: IssuePhase & { name: 'failed' }): Face {
  const [what, next] = told(trouble);
  const at = trouble.by === 'card' ? [verbatim(`(${trouble.at})`)] : [];
  const lines = [what, nexts[next], ...(next === 'aside' ? [verbatim(card.uid), ...at] : [])];
  const title = words('Belum selesai', 'Not done');
  return { name: `failed ${card.presence}`, light: 'red', mark: 'X', sound: 'no', title, amount: null, lines };
}

function told(trouble: Trouble): readonly [Words, Next] {
  switch (trouble.by) {
    case 'card':
      return cardTroubles[trouble.why];
    case 'hub': {
      const { id, en } = refusals[trouble.why];
      return [{ id, en }, refusalNexts[trouble.why]];
    }
    case 'line':
      return lineTroubles[trouble.why];
    case 'kiosk':
      return obstacleTroubles[trouble.why];
  }
}

/** While the last card's screen stays, trouble of the kiosk itself is said too: the next card would be laid in vain. */
function withObstacle(state: Issuing, face: Face): Face {
  const { phase } = state;
  const why = issueObstacle(state);
  const said = phase.name === 'failed' && phase.trouble.by === 'kiosk' && phase.trouble.why === why;
  if (why === null || said || (phase.name !== 'done' && phase.name !== 'failed')) return face;
  return { ...face, lines: [...face.lines, obstacleTroubles[why][0]] };
}

const one = {
  many: words('Satu kartu saja: angkat yang lain', 'One card at a time: take the others away'),
  late: words('Kartu ini belum: angkat, tunggu, letakkan lagi', 'Not this card yet: lift it, wait, lay it down again'),
} as const;

/** A card that came while another one was there or being worked with is refused in words. */
function withStrangers(state: Issuing, face: Face): Face {
  const others = strangers(state).length;
  if (others === 0) return face;
  const note = state.present.length > 1 ? one.many : one.late;
  const name = `${face.name ?? state.phase.name} and others`;
  return { ...face, name, sound: 'no', lines: [note, ...face.lines] };
}
