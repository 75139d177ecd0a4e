/* SPDX-License-Identifier: Apache-2.0
 *
 * TVM's C includes math.h wherever it comes from; code on integers calls nothing of it, and there is no C library here.
 */
