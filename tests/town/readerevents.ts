/** What a reader told, waited for without guessing at times. */
import type { Reader, ReaderEvent } from '../../kiosk/reader.ts';

type EventOf<Type extends ReaderEvent['type']> = Extract<ReaderEvent, { type: Type }>;

export interface ReaderEvents {
  /** All so far, oldest first. */
  readonly all: readonly ReaderEvent[];
  /** The next one of that type that was not given out yet; others on the way are passed over. */
  next<Type extends ReaderEvent['type']>(type: Type): Promise<EventOf<Type>>;
}

/** Becomes the reader's listener. */
export function eventsOf(reader: Reader): ReaderEvents {
  const all: ReaderEvent[] = [];
  let read = 0;
  let wake = () => {};
  reader.listen((event) => {
    all.push(event);
    wake();
  });
  return {
    all,
    next: async <Type extends ReaderEvent['type']>(type: Type) => {
      for (;;) {
        while (read < all.length) {
          const event = all[read];
          read += 1;
          if (event?.type === type) return event as EventOf<Type>;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
