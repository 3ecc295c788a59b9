/** The part of cli-progress 3.12.0 that the hub uses; the package has no types of its own. */
declare module 'cli-progress' {
  export interface Bar {
    update(value: number, payload: Readonly<Record<string, string>>): void;
  }

  /** Bars that stay below what is logged meanwhile. */
  export class MultiBar {
    constructor(options: {
      readonly format: string;
      readonly stream: NodeJS.WritableStream;
      readonly hideCursor: boolean;
      readonly gracefulExit: boolean;
      readonly emptyOnZero: boolean;
    });
    create(total: number, start: number, payload: Readonly<Record<string, string>>): Bar;
    /** Written at the next update; the text must end its line. */
    log(text: string): void;
    update(): void;
    /** Draws the last state and ends; forgets what was logged since the last update. */
    stop(): void;
  }
}
