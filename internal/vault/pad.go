package vault

import "math/bits"

// The least size of each kind before sealing, in bytes.
const (
	leastValue  = 64       // titles, addresses, keys' fingerprints
	leastHeader = 1 << 10  // arrival headers, mailbox items
	leastBody   = 4 << 10  // blobs and the last chunk of an arrival
	fineAbove   = 64 << 10 // from here on the steps are finer
)

// Bucket returns the size to which n bytes are padded, at least least (a power
// of two). Up to 64 KiB there are four steps to a doubling (64, 80, 96, 112,
// 128, 160, ...: at most 25 % more), above it sixteen (at most 6.25 % more).
func Bucket(n, least int) int {
	if n <= least {
		return least
	}
	// floor is the power of two at or below n-1, so that a full bucket stays.
	floor := 1 << (bits.Len(uint(n-1)) - 1)
	step := floor / 4
	if floor >= fineAbove {
		step = floor / 16
	}
	return (n + step - 1) / step * step
}

// pad appends 0x80 and zeros up to a bucket (ISO/IEC 7816-4).
func pad(plaintext []byte, least int) []byte {
	out := make([]byte, Bucket(len(plaintext)+1, least))
	copy(out, plaintext)
	out[len(plaintext)] = 0x80
	return out
}

// unpad takes the padding away, in place. What has none was not sealed by us.
func unpad(padded []byte) ([]byte, error) {
	for i := len(padded) - 1; i >= 0; i-- {
		switch padded[i] {
		case 0:
		case 0x80:
			return padded[:i:i], nil
		default:
			return nil, ErrOpen
		}
	}
	return nil, ErrOpen
}
