package vault

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
)

// CodeWords is the number of words of a mailbox code.
const CodeWords = 8

// A code is 91 random bits followed by 12 bits of checksum: a number below
// 2^103, written with eight digits to the base 7,776 (7776^8 is 2^103.4), the
// most significant first. The checksum is the first 12 bits of a SHA-256 over
// the random part. A wrong word passes with a chance of one in 4,096.
const (
	codeBits     = 91
	checksumBits = 12
	codeBytes    = 12 // 91 bits, right-aligned
	maxCodeText  = 1 << 10
)

// Code is what opens a mailbox: whoever knows it can read. It is shown once
// and kept nowhere. fmt, slog and encoders write "[mailbox code]".
type Code struct{ b [codeBytes]byte }

const redactedCode = "[mailbox code]"

func (c Code) String() string               { return redactedCode }
func (c Code) GoString() string             { return redactedCode }
func (c Code) LogValue() slog.Value         { return slog.StringValue(redactedCode) }
func (c Code) MarshalText() ([]byte, error) { return []byte(redactedCode), nil }
func (c Code) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redactedCode) }

// NewCode returns a random code.
func NewCode() Code { return CodeFrom([32]byte(random(32))) }

// CodeFrom returns the code that belongs to a seed, always the same.
func CodeFrom(seed [32]byte) Code {
	b := expand(seed[:], nil, "mailbox code", codeBytes)
	b[0] &= 1<<(codeBits-8*(codeBytes-1)) - 1
	return Code{[codeBytes]byte(b)}
}

// Words returns the eight words, lower case, as they are printed.
func (c Code) Words() []string {
	value := new(big.Int).SetBytes(c.b[:])
	value.Lsh(value, checksumBits).Or(value, big.NewInt(int64(c.checksum())))
	words := make([]string, CodeWords)
	base, digit := big.NewInt(wordCount), new(big.Int)
	for i := CodeWords - 1; i >= 0; i-- {
		value.DivMod(value, base, digit)
		words[i] = wordList().words[digit.Int64()]
	}
	return words
}

func (c Code) checksum() uint16 {
	sum := sha256.Sum256(encode("mailbox code checksum", c.b[:]))
	return binary.BigEndian.Uint16(sum[:]) >> (16 - checksumBits)
}

// CodeProblem is what is wrong with a code as typed.
type CodeProblem string

const (
	CodeTooLong     CodeProblem = "too long"     // not a code at all
	CodeWordCount   CodeProblem = "word count"   // not eight words: see Count
	CodeUnknownWord CodeProblem = "unknown word" // see Position, Word and Nearest
	CodeChecksum    CodeProblem = "does not fit" // one of the words is wrong or out of order
)

// CodeError says what is wrong with a code as typed. Its Error text holds
// nothing of the code; Word and Nearest are for the person who typed it alone.
type CodeError struct {
	Problem  CodeProblem
	Count    int      // of words found
	Position int      // of the word at fault, from 1; 0 when none is
	Word     string   // as typed, in lower case
	Nearest  []string // at most three words of the list that look like it
}

func (e *CodeError) Error() string {
	switch e.Problem {
	case CodeTooLong:
		return "this is too long to be a mailbox code"
	case CodeWordCount:
		return fmt.Sprintf("a mailbox code has %d words, not %d", CodeWords, e.Count)
	case CodeUnknownWord:
		return fmt.Sprintf("word %d is not on the word list", e.Position)
	default:
		return "one of the words is wrong or out of order"
	}
}

// Format keeps the word out of fmt's output, whatever the verb.
func (e *CodeError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// ParseCode reads a code as a person types it: case, hyphens, commas, numbers,
// line ends and other punctuation do not matter. Its errors are *[CodeError].
func ParseCode(text string) (Code, error) {
	if len(text) > maxCodeText {
		return Code{}, &CodeError{Problem: CodeTooLong}
	}
	typed := joinHyphenated(letters(text))
	if len(typed) == 0 {
		return Code{}, &CodeError{Problem: CodeWordCount}
	}
	list := wordList()
	readings := make([][]int, len(typed))
	for i, w := range typed {
		readings[i] = list.index[w]
		if readings[i] == nil {
			return Code{}, &CodeError{Problem: CodeUnknownWord, Count: len(typed), Position: i + 1, Word: w, Nearest: list.nearest(w)}
		}
	}
	if len(typed) != CodeWords {
		return Code{}, &CodeError{Problem: CodeWordCount, Count: len(typed)}
	}
	if c, ok := fit(new(big.Int), readings); ok {
		return c, nil
	}
	return Code{}, &CodeError{Problem: CodeChecksum, Count: CodeWords}
}

// fit returns the code whose checksum fits among the ways to read the words
// after value. There is one way, but for "yoyo" and "yo-yo", which sound alike.
func fit(value *big.Int, readings [][]int) (Code, bool) {
	if len(readings) == 0 {
		return codeFromValue(value)
	}
	for _, n := range readings[0] {
		longer := new(big.Int).Mul(value, big.NewInt(wordCount))
		longer.Add(longer, big.NewInt(int64(n)))
		if c, ok := fit(longer, readings[1:]); ok {
			return c, true
		}
	}
	return Code{}, false
}

func codeFromValue(value *big.Int) (Code, bool) {
	if value.BitLen() > codeBits+checksumBits {
		return Code{}, false
	}
	sum := new(big.Int).And(value, big.NewInt(1<<checksumBits-1))
	var c Code
	new(big.Int).Rsh(value, checksumBits).FillBytes(c.b[:])
	return c, sum.Int64() == int64(c.checksum())
}

// FromIdempotencyKey returns the arrival id and the code that belong to a
// report sent under an idempotency key: the same bytes again give the same,
// other bytes under the same key another arrival with another code.
//
// The code is only as hard to guess as the key and the body together: callers
// make the key themselves, or ask for at least 128 random bits.
func FromIdempotencyKey(key string, bodySHA256 [32]byte) (arrivalID string, code Code) {
	id := expand([]byte(key), bodySHA256[:], "idempotent arrival", 16)
	seed := expand([]byte(key), bodySHA256[:], "idempotent mailbox code", 32)
	return hex.EncodeToString(id), CodeFrom([32]byte(seed))
}

// expand is HKDF-SHA256 (RFC 5869) with an info of our own.
func expand(secret, salt []byte, purpose string, size int) []byte {
	out, err := hkdf.Key(sha256.New, secret, salt, string(encode(purpose)), size)
	if err != nil {
		panic("vault: HKDF refused a fixed length: " + err.Error())
	}
	return out
}

// letters cuts a text into its runs of letters, in lower case.
func letters(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), notLetter)
}
