// Fast stand-in for the vendor header of the same name: an unbounded first-in first-out stream.
//
// The simulation calls the kernels one after the other, each to completion, so a stream grows to
// whatever a kernel writes. A stream belongs to one thread. Reading an empty stream is an error in the
// design (a kernel expects more data than its producer sends) and throws `std::runtime_error`.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace hls {

template <typename T, int DEPTH = 0> class stream {
public:
    stream() = default;
    explicit stream(const char* name) : name_(name) {}
    explicit stream(std::string name) : name_(std::move(name)) {}
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    T read() {
        if (head_ == tail_) underflow();
        return words_[head_++ & mask_];
    }
    void read(T& word) { word = read(); }
    bool read_nb(T& word) {
        if (empty()) return false;
        word = read();
        return true;
    }
    void write(const T& word) {
        if (tail_ - head_ == capacity_) grow();
        words_[tail_++ & mask_] = word;
    }
    bool write_nb(const T& word) {
        write(word);
        return true;
    }
    stream& operator>>(T& word) {
        word = read();
        return *this;
    }
    stream& operator<<(const T& word) {
        write(word);
        return *this;
    }

    bool empty() const { return head_ == tail_; }
    bool full() const { return false; }
    /// Words written and not yet read: what is left over after a run that should have consumed all.
    std::size_t size() const { return tail_ - head_; }
    const std::string& name() const { return name_; }

private:
    [[noreturn]] __attribute__((noinline, cold)) void underflow() const {
        throw std::runtime_error("read from empty stream " + (name_.empty() ? "(unnamed)" : "'" + name_ + "'") +
                                 " after " + std::to_string(head_) +
                                 " words: its producer writes fewer words than its consumer expects");
    }
    __attribute__((noinline, cold)) void grow() {
        const std::size_t capacity = capacity_ ? 2 * capacity_ : 64;
        std::unique_ptr<T[]> words(new T[capacity]);
        for (std::size_t i = head_; i != tail_; ++i) words[i & (capacity - 1)] = words_[i & mask_];
        words_ = std::move(words);
        capacity_ = capacity;
        mask_ = capacity - 1;
    }

    std::unique_ptr<T[]> words_;  // ring buffer; its capacity is a power of two
    std::size_t capacity_ = 0;
    std::size_t mask_ = 0;
    std::size_t head_ = 0;  // words read since the start
    std::size_t tail_ = 0;  // words written since the start
    std::string name_;
};

}  // namespace hls
