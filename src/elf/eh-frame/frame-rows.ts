/**
 * Call frame programs made into rows: for each stretch of a function, where the CFA is and where the caller's registers are.
 *
 * Follows DWARF 5 §6.4.2 with the GNU operations that occur in .eh_frame; registers are numbered as in the psABI, figure 3.36.
 */
import { Cursor } from "../../binary/cursor.ts";
import type { Cie, Fde } from "./frame-entries.ts";
import { readPointer } from "./pointer-encoding.ts";
import { badUnwindInformation } from "./unwind-error.ts";

/** rax to r15 and the return address; others, such as vector registers, are nobody's to keep (psABI §3.2.1). */
export const registerCount = 17;

/** In the order of their DWARF numbers (psABI figure 3.36); the return address is where the instruction pointer will be. */
export const registerNames = [
  "rax",
  "rdx",
  "rcx",
  "rbx",
  "rsi",
  "rdi",
  "rbp",
  "rsp",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
  "rip",
] as const;

/** What a rule's number means: `offset` saved at CFA + n, `valueOffset` is CFA + n, `register` is in register n. */
export const ruleKind = {
  unspecified: 0,
  undefined: 1,
  sameValue: 2,
  offset: 3,
  valueOffset: 4,
  register: 5,
  expression: 6,
  valueExpression: 7,
} as const;

export interface FrameRow {
  /** First address that it holds for; the next row's start ends it. */
  readonly start: number;
  /** Register and offset; the register is −1 where an expression gives the CFA. */
  readonly cfaRegister: number;
  readonly cfaOffset: number;
  readonly cfaExpression: Uint8Array | undefined;
  /** Registers that have a rule, side by side with its kind and number. */
  readonly registers: Uint8Array;
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
  /** By register; missing where the row has no expressions. */
  readonly expressions: ReadonlyMap<number, Uint8Array> | undefined;
  /** Whether the frame was entered by a signal, so that the caller's address is that of an instruction rather than of the one behind a call. */
  readonly signalFrame: boolean;
}

/** More rows than this in one function, or deeper states, are damage. */
const maxRows = 200_000;
const maxDepth = 128;

class State {
  cfaRegister = -1;
  cfaOffset = 0;
  cfaExpression: Uint8Array | undefined = undefined;
  readonly kinds = new Uint8Array(registerCount);
  readonly values = new Float64Array(registerCount);
  expressions: Map<number, Uint8Array> | undefined = undefined;

  copy(): State {
    const copy = new State();
    copy.cfaRegister = this.cfaRegister;
    copy.cfaOffset = this.cfaOffset;
    copy.cfaExpression = this.cfaExpression;
    copy.kinds.set(this.kinds);
    copy.values.set(this.values);
    copy.expressions = this.expressions && new Map(this.expressions);
    return copy;
  }

  set(register: number, kind: number, value = 0, expression?: Uint8Array): void {
    if (register >= registerCount) return;
    this.kinds[register] = kind;
    this.values[register] = value;
    if (expression === undefined) return;
    this.expressions ??= new Map();
    this.expressions.set(register, expression);
  }

  restore(register: number, from: State): void {
    if (register >= registerCount) return;
    this.set(register, from.kinds[register] ?? 0, from.values[register] ?? 0, from.expressions?.get(register));
  }

  row(start: number, signalFrame: boolean): FrameRow {
    const registers = Uint8Array.from(this.kinds.keys()).filter(
      (register) => this.kinds[register] !== ruleKind.unspecified,
    );
    return {
      start,
      cfaRegister: this.cfaExpression === undefined ? this.cfaRegister : -1,
      cfaOffset: this.cfaOffset,
      cfaExpression: this.cfaExpression,
      registers,
      kinds: registers.map((register) => this.kinds[register] ?? 0),
      values: Float64Array.from(registers, (register) => this.values[register] ?? 0),
      expressions: this.expressions && new Map(this.expressions),
      signalFrame,
    };
  }
}

/** What the CIE's program sets up, once for all its FDEs. */
const initialStates = new WeakMap<Cie, State>();

function initialState(cie: Cie): State {
  const known = initialStates.get(cie);
  if (known !== undefined) return known;
  const state = new State();
  run({ of: cie, cie, start: 0, state, initial: state });
  initialStates.set(cie, state);
  return state;
}

/** The rows of a function in the order of their addresses. Throws `elf/unwind-information` or `binary/…`. */
export function frameRows(fde: Fde): FrameRow[] {
  const initial = initialState(fde.cie);
  const rows: FrameRow[] = [];
  const state = initial.copy();
  const advance = (end: number, next: number) => {
    if (rows.length >= maxRows) badUnwindInformation("an FDE has too many rows");
    if (next < end) badUnwindInformation("the program of an FDE goes back");
    if (next > end) rows.push(state.row(end, fde.cie.signalFrame));
  };
  run({ of: fde, cie: fde.cie, start: fde.start, state, initial, advance });
  return rows;
}

interface Program {
  readonly of: Fde | Cie;
  readonly cie: Cie;
  readonly start: number;
  readonly state: State;
  readonly initial: State;
  /** Called before the location changes, and at the end with Infinity. */
  readonly advance?: (location: number, next: number) => void;
}

function run({ of, cie, start, state, initial, advance }: Program): void {
  const cursor = new Cursor(of.instructions, "a frame program");
  const stack: State[] = [];
  let location = start;
  const moveTo = (next: number) => {
    advance?.(location, next);
    location = next;
  };
  while (!cursor.atEnd) {
    const operation = cursor.u8();
    const operand = operation & 0x3f;
    if (operation >= 0xc0) state.restore(operand, initial);
    else if (operation >= 0x80) state.set(operand, ruleKind.offset, cursor.uleb128() * cie.dataAlignment);
    else if (operation >= 0x40) moveTo(location + operand * cie.codeAlignment);
    else if (operation === 0x01) moveTo(absoluteLocation(cursor, of, cie));
    else if (operation === 0x02) moveTo(location + cursor.u8() * cie.codeAlignment);
    else if (operation === 0x03) moveTo(location + cursor.u16() * cie.codeAlignment);
    else if (operation === 0x04) moveTo(location + cursor.u32() * cie.codeAlignment);
    else if (operation === 0x0a) remember(stack, state);
    else if (operation === 0x0b) recall(stack, state);
    else if (!setRule(operation, cursor, cie, state, initial)) setCfa(operation, cursor, cie, state);
  }
  advance?.(location, Number.POSITIVE_INFINITY);
}

/** DW_CFA_set_loc, encoded as the pointers of the FDE are (LSB §10.6.1). */
function absoluteLocation(cursor: Cursor, of: Fde | Cie, cie: Cie): number {
  const location = readPointer(cursor, cie.pointerEncoding, { section: of.instructionsAddress });
  return location ?? badUnwindInformation("a frame program sets no location");
}

function remember(stack: State[], state: State): void {
  if (stack.length >= maxDepth) badUnwindInformation("a frame program remembers too many states");
  stack.push(state.copy());
}

/** DW_CFA_restore_state brings back the CFA as well, as gcc's and clang's output takes for granted. */
function recall(stack: State[], state: State): void {
  const saved = stack.pop() ?? badUnwindInformation("a frame program restores a state that it did not remember");
  state.cfaRegister = saved.cfaRegister;
  state.cfaOffset = saved.cfaOffset;
  state.cfaExpression = saved.cfaExpression;
  state.kinds.set(saved.kinds);
  state.values.set(saved.values);
  state.expressions = saved.expressions;
}

/** Rules of registers, DWARF 5 §6.4.2.3; false for an operation of another kind. */
function setRule(operation: number, cursor: Cursor, cie: Cie, state: State, initial: State): boolean {
  const scale = cie.dataAlignment;
  switch (operation) {
    case 0x05: // DW_CFA_offset_extended
      state.set(cursor.uleb128(), ruleKind.offset, cursor.uleb128() * scale);
      return true;
    case 0x06: // DW_CFA_restore_extended
      state.restore(cursor.uleb128(), initial);
      return true;
    case 0x07: // DW_CFA_undefined
      state.set(cursor.uleb128(), ruleKind.undefined);
      return true;
    case 0x08: // DW_CFA_same_value
      state.set(cursor.uleb128(), ruleKind.sameValue);
      return true;
    case 0x09: // DW_CFA_register
      state.set(cursor.uleb128(), ruleKind.register, cursor.uleb128());
      return true;
    case 0x10: // DW_CFA_expression
      state.set(cursor.uleb128(), ruleKind.expression, 0, cursor.take(cursor.uleb128()));
      return true;
    case 0x11: // DW_CFA_offset_extended_sf
      state.set(cursor.uleb128(), ruleKind.offset, cursor.sleb128() * scale);
      return true;
    case 0x14: // DW_CFA_val_offset
      state.set(cursor.uleb128(), ruleKind.valueOffset, cursor.uleb128() * scale);
      return true;
    case 0x15: // DW_CFA_val_offset_sf
      state.set(cursor.uleb128(), ruleKind.valueOffset, cursor.sleb128() * scale);
      return true;
    case 0x16: // DW_CFA_val_expression
      state.set(cursor.uleb128(), ruleKind.valueExpression, 0, cursor.take(cursor.uleb128()));
      return true;
    case 0x2f: // DW_CFA_GNU_negative_offset_extended
      state.set(cursor.uleb128(), ruleKind.offset, -cursor.uleb128() * scale);
      return true;
    default:
      return false;
  }
}

/** The CFA, DWARF 5 §6.4.2.2, and operations that change nothing. */
function setCfa(operation: number, cursor: Cursor, cie: Cie, state: State): void {
  switch (operation) {
    case 0x00: // DW_CFA_nop
      return;
    case 0x0c: // DW_CFA_def_cfa
      return defineCfa(state, cursor.uleb128(), cursor.uleb128());
    case 0x0d: // DW_CFA_def_cfa_register
      return defineCfa(state, cursor.uleb128(), state.cfaOffset);
    case 0x0e: // DW_CFA_def_cfa_offset
      return defineCfa(state, state.cfaRegister, cursor.uleb128());
    case 0x0f: // DW_CFA_def_cfa_expression
      state.cfaExpression = cursor.take(cursor.uleb128());
      return;
    case 0x12: // DW_CFA_def_cfa_sf
      return defineCfa(state, cursor.uleb128(), cursor.sleb128() * cie.dataAlignment);
    case 0x13: // DW_CFA_def_cfa_offset_sf
      return defineCfa(state, state.cfaRegister, cursor.sleb128() * cie.dataAlignment);
    case 0x2e: // DW_CFA_GNU_args_size: of use only to who throws an exception into the frame.
      cursor.uleb128();
      return;
    default:
      badUnwindInformation(`a frame program has the unknown operation 0x${operation.toString(16)}`);
  }
}

function defineCfa(state: State, register: number, offset: number): void {
  if (register >= registerCount) badUnwindInformation(`the CFA is in register ${register}`);
  state.cfaRegister = register;
  state.cfaOffset = offset;
  state.cfaExpression = undefined;
}
