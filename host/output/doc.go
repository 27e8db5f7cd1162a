// Package output writes files that are whole, private, and never over a file
// not ours.
//
// A file is written without a name, or under one of its own, and gets
// its own when it is complete and on disk: whoever looks, whenever the process
// dies, finds the old file, the new one, or none. The package knows paths,
// inodes and digests. It knows nothing of the content, and asks its caller
// which files are ours.
package output
